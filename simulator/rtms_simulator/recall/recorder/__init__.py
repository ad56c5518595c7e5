"""The recorder: joins a stream with the RTMS client and writes each file of the recording as the packets come. Also a scripted one."""
