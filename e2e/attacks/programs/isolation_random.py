# id: isolation_random
# title: random state, identifiers and temporary names of fresh runs
# group: isolation
# expect: ok
# repeat: 6
# unique: ^U (\w+)=(.*)$
# notes: a run that is forked from a warm interpreter inherits its generators unless each is seeded anew.
import os, random, secrets, tempfile, uuid
print("U random=%s" % random.random())
print("U system=%s" % random.SystemRandom().random())
print("U secrets=%s" % secrets.token_hex(8))
print("U urandom=%s" % os.urandom(8).hex())
print("U uuid4=%s" % uuid.uuid4())
print("U uuid1=%s" % uuid.uuid1())
print("U new=%s" % random.Random().getrandbits(64))
print("U temporary=%s" % os.path.basename(tempfile.mkdtemp()))
print("U shuffled=%s" % random.sample(range(10 ** 9), 3))
