"""Weight files: reading and writing them, their layouts, the shapes that they hold."""
