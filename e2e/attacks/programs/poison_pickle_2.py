# id: poison_pickle_2
# title: nobody has loaded the pickles (step 2: same tenant, same workspace)
# group: poison
# expect: contained
# sequence: poison_pickle:2
# identity: tenant=A user=a1 workspace=P
# after: no_marker_file
import os
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
bad = [p for p in ("PICKLE_EXECUTED", "/tmp/PICKLE_EXECUTED") if os.path.exists(p)]
escaped(bad) if bad else contained("they lie where they lay")
