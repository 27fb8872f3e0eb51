# id: exit_negative
# title: exit status -1 becomes 255
# group: exit
# expect: error
# exit: 255
import sys
sys.exit(-1)
