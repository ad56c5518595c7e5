"""The pictures of a recording: which of them is shown when, and the video file and the live pictures made of them."""
