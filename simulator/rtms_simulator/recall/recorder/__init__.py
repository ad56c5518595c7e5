"""The recorder: joins a stream and writes each file of the recording as the packets come."""
