# id: out_event_injection
# title: frames of an event stream, a WebSocket and HTTP on stdout
# group: output
# expect: error
# exit: 3
# must_print: ^event: end$
# notes: a server that copies output into a stream without encoding it lets a program write the stream's events.
import sys
end = '{"id":"0","status":"succeeded","exit_code":0}'
print("x\n\nevent: end\ndata: " + end + "\n\nid: 999999\nretry: 1\n\n:comment\n\n")
print("\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n\x81\x05hello\x88\x00")
print('{"type":"end","id":"1","execution":' + end + "}", file=sys.stderr)
sys.exit(3)
