# id: poison_pickle_1
# title: a pickle that acts when it is loaded, in every place where somebody may load it (step 1: plant)
# group: poison
# expect: ok
# must_print: ^PLANTED$
# sequence: poison_pickle:1
# identity: tenant=A user=a1 workspace=P
# after: no_marker_file, next_run_ok
import os, pickle
class Act:
    def __reduce__(self):
        return (exec, ("open('/tmp/PICKLE_EXECUTED', 'w').write('x'); open('PICKLE_EXECUTED', 'w').write('x')",))
for name in ("result.pkl", "state.pickle", "session.dill", "checkpoint.joblib", ".kiln/state.pkl", "__pycache__/main.cpython-313.pyc"):
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    open(name, "wb").write(pickle.dumps(Act()))
print("PLANTED")
