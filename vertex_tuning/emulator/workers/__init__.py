"""Children of the server: started when first needed, supervised, and gone when it is.

They speak JSON lines: requests on the child's standard input, messages on what was its standard output
(`channel.py` is the child's end, `process.py` the server's). Whatever a library prints goes to the log.
"""
