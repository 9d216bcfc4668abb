"""Where training takes its samples from: folders of the user's own clips, streamed."""
