"""One module a workflow, with `describe() -> Workflow`."""
