# id: exit_sigsegv
# title: a real segmentation fault with core dumps asked for
# group: exit
# expect: error
# exit: signal:SIGSEGV
# after: no_core_file, next_run_ok, workspace_removed_within_10s
# notes: a piped core_pattern runs a program of the host as root; the limit must keep it from being started.
import ctypes, resource
try:
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print("ESCAPED: core dumps without limit", flush=True)
except (ValueError, OSError):
    pass
ctypes.string_at(1)
