"""The files a recording leaves behind, each written as the packets come."""
