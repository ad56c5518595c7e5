"""The sound of a scripted meeting: synthetic speech, or the sound tracks of a person's own file, cut into the packets that Zoom sends."""
