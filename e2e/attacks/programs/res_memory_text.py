# id: res_memory_text
# title: says that it was killed for memory, and is not
# group: resource
# expect: error
# exit: 1
# must_print: ^MemoryError
import sys
print("MemoryError: out of memory\noom-kill:constraint=CONSTRAINT_MEMCG", file=sys.stderr)
raise MemoryError("by its own word")
