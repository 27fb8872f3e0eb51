# id: exit_exec_replace
# title: the program replaces itself by a shell that exits with 6
# group: exit
# expect: error
# exit: 6
# must_print: ^from the shell$
# after: result_within_5s
import os
os.execv("/bin/sh", ["sh", "-c", "echo from the shell; exit 6"])
