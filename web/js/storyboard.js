// The storyboard as a table on the nodes that make one. What is changed in a cell goes into the node's `edits`, as JSON,
// and takes effect on the next run; an edit stays with its sentence when others come and go.
import { app } from "../../../scripts/app.js";

const COLUMNS = ["prompt", "negative", "place", "time", "camera", "transition"];
const EDITED = "#7a5c1e";
const STYLE = `
.diffilm-board { overflow: auto; font: 12px sans-serif; color: var(--input-text, #ddd); background: var(--comfy-input-bg, #222); border-radius: 6px; }
.diffilm-board table { border-collapse: collapse; width: 100%; }
.diffilm-board th { position: sticky; top: 0; text-align: left; background: var(--comfy-menu-bg, #333); padding: 3px 6px; }
.diffilm-board td { vertical-align: top; padding: 3px 6px; border-top: 1px solid var(--border-color, #444); min-width: 3em; }
.diffilm-board td[contenteditable] { cursor: text; }
.diffilm-board td[contenteditable]:focus { outline: 1px solid #6cf; }
.diffilm-board .empty { padding: 8px; opacity: .7; }
`;

const parsed = (text) => {
  if (!text.trim()) return { shots: [], cast: [] };
  const value = JSON.parse(text);
  return Array.isArray(value) ? { shots: value, cast: [] } : { shots: [], cast: [], ...value };
};

const words = (text) => text.split(/\s+/).filter(Boolean).join(" ");

// Which of `edits.shots` is this shot's; -1 where there is none.
const placeOf = (edits, shot) => edits.shots.findIndex((edit) =>
  edit.text === undefined ? edit.index === shot.index : words(edit.text) === words(shot.text) && edit.index === shot.index);

const change = (node, shot, key, value) => {
  const widget = node.widgets.find((each) => each.name === "edits");
  let edits;
  try {
    edits = parsed(widget.value);
  } catch (error) {
    app.extensionManager?.toast?.add?.({ severity: "error", summary: "Diffilm", detail: `edits: ${error.message}`, life: 6000 });
    return false;
  }
  const at = placeOf(edits, shot);
  const edit = at < 0 ? { index: shot.index, text: shot.text } : edits.shots[at];
  edit[key] = value;
  if (at < 0) edits.shots.push(edit);
  widget.value = JSON.stringify(edits.cast.length ? edits : edits.shots, null, 1);
  widget.callback?.(widget.value);
  node.setDirtyCanvas?.(true, true);
  return true;
};

const cell = (row, text, title) => {
  const made = row.insertCell();
  made.textContent = text;
  if (title) made.title = title;
  return made;
};

const edited = (node) => {
  try {
    return parsed(node.widgets?.find((each) => each.name === "edits")?.value ?? "");
  } catch {
    return { shots: [], cast: [] };
  }
};

const fill = (node, element, board) => {
  const edits = edited(node);
  const names = Object.fromEntries(board.cast.map((member) => [member.id, member.name || member.id]));
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const title of ["shot", "s", "cast", ...COLUMNS]) {
    const made = document.createElement("th");
    made.textContent = title;
    head.append(made);
  }
  const body = table.createTBody();
  for (const shot of board.shots) {
    const row = body.insertRow();
    cell(row, `${shot.index + 1}`, shot.text);
    cell(row, shot.duration.toFixed(1), `seed ${shot.seed}`);
    cell(row, shot.cast.map((id) => names[id]).join(", "));
    for (const key of COLUMNS) {
      const made = cell(row, shot[key], shot.text);
      if (!node.widgets?.some((each) => each.name === "edits")) continue;
      made.contentEditable = "plaintext-only";
      made.dataset.key = key;
      made.dataset.shot = shot.index;
      if (key in (edits.shots[placeOf(edits, shot)] ?? {})) made.style.background = EDITED;
      for (const name of ["keydown", "pointerdown", "wheel", "copy", "paste", "cut"]) {
        made.addEventListener(name, (event) => {
          event.stopPropagation();
          if (event.key === "Enter" && !event.shiftKey) made.blur();
        });
      }
      made.addEventListener("blur", () => {
        const value = words(made.textContent);
        if (value === words(shot[key])) return;
        if (key === "prompt" && !value) made.textContent = shot[key];
        else if (change(node, shot, key, value)) {
          shot[key] = value;
          made.style.background = EDITED;
        }
      });
    }
  }
  element.replaceChildren(table);
};

app.registerExtension({
  name: "Diffilm.Storyboard",
  setup() {
    const style = document.createElement("style");
    style.textContent = STYLE;
    document.head.append(style);
  },
  beforeRegisterNodeDef(type, data) {
    if (!data.name.startsWith("Diffilm") || !data.output?.includes("DIFFILM_STORYBOARD")) return;
    const executed = type.prototype.onExecuted;
    type.prototype.onExecuted = function (message) {
      executed?.apply(this, arguments);
      const json = message?.diffilm_storyboard?.[0];
      if (!json) return;
      if (!this.diffilmBoard) {
        const element = document.createElement("div");
        element.className = "diffilm-board";
        this.diffilmBoard = element;
        this.addDOMWidget("storyboard", "diffilm_board", element, {
          serialize: false, getMinHeight: () => 160, hideOnZoom: false,
        });
        const [width, height] = this.computeSize();
        this.setSize([Math.max(this.size[0], width, 620), Math.max(this.size[1], height)]);
      }
      fill(this, this.diffilmBoard, JSON.parse(json));
    };
  },
});
