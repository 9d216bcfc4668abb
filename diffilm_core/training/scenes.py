"""Random picture-book scenes: what is in a picture and how it moves, as tensors of parameters.

The way through the training data:

    bank = SpriteBank.load(".cache/sprites.safetensors", device)           # emoji.py
    renderer = SceneRenderer(bank, size=128, device=device)                # render.py
    scenes = sample_scenes(512, seed=7, split="train")                     # SceneBatch on the CPU
    pixels = renderer.render(scenes)                                       # uint8 (n, 3, 128, 128)
    clips = renderer.render_clips(sample_scenes(32, seed=8, clips=True), frames=16, fps=8)
                                                                           # uint8 (n, 3, 16, 128, 128); fps: float or (n,)
    words = captions(scenes, seed=7)                                       # captions.py: list[str], one a scene
    prompts = heldout_prompts(200)                                         # [(prompt, object id, place id)]

Object ids index `vocabulary.OBJECTS`, place ids `places.PLACES`, times `places.TIMES`, weathers `places.WEATHERS`.
"""
