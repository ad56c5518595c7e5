"""The recorder: joins a stream with the RTMS client and writes each file of the recording as the packets come. Also a scripted one.

`recorder` is the way in. One module a kind of artifact takes packets and gives a file; `open_recording` holds those of one recording.
"""
