# id: out_terminal_escapes
# title: terminal control: clipboard, title, answers, cursor, line drawing
# group: output
# expect: ok
# must_print: AFTER
# after: dashboard_no_script_execution
# notes: a client that shows output on a terminal shows what the program wrote; what it keeps must be the bytes.
print("\x1b]52;c;ZXZpbA==\x07\x1b]0;evil\x07\x1b[6n\x1b[c\x1bP$q\"p\x1b\\\x1b[2J\x1b[1;1H\x1b(0lqqk\x1b(B\x1b]8;;http://127.0.0.1/\x07link\x1b]8;;\x07\x1b[?1049h\x1b[8mhidden\x1b[0m\r\x1b[K\x08AFTER")
