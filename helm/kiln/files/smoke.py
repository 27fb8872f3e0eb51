"""Signs up, runs a program, reads what it printed, and deletes the tenant that it made.

AUTH and SCHEDULER are the addresses of the two services; behind one host both are the same (BASE).
"""
import json
import os
import secrets
import sys
import urllib.error
import urllib.request

base = os.environ.get("BASE", "")
auth = os.environ.get("AUTH", base)
scheduler = os.environ.get("SCHEDULER", base)


def call(method, address, body=None, token=None):
    headers = {"content-type": "application/json"}
    if token:
        headers["authorization"] = "Bearer " + token
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=90) as answer:
            return json.loads(answer.read() or "null")
    except urllib.error.HTTPError as refused:
        sys.exit("%s %s: %s %s" % (method, address, refused.code, refused.read().decode(errors="replace")))


person = {"email": "smoke-%s@example.com" % secrets.token_hex(8), "password": secrets.token_urlsafe(24)}
account = call("POST", auth + "/api/v1/auth/signup", person)
token = account["access_token"]
try:
    run = call("POST", scheduler + "/api/v1/executions?wait_ms=60000", {"code": "print(6 * 7)"}, token)
    print("execution %s: %s in %s ms" % (run["id"], run["status"], run.get("duration_ms")))
    if run["status"] != "succeeded" or run.get("stdout") != "42\n":
        sys.exit("wrong: %s" % json.dumps(run))
finally:
    call("DELETE", auth + "/api/v1/tenant", {"confirm": account["tenant"]["slug"]}, token)
print("42, as it should be")
