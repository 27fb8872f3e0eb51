# id: net_tools
# title: the system's own network programs
# group: network
# expect: contained
# also_ok: denied
import subprocess
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
bad = []
for command in (["ping", "-c1", "-W1", "127.0.0.1"], ["curl", "-sm1", "http://169.254.169.254/"], ["wget", "-qT1", "-t1", "-O-", "http://127.0.0.1:8080/"], ["nc", "-zw1", "127.0.0.1", "5432"], ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/5432"],
                ["ip", "link", "add", "x0", "type", "dummy"], ["ip", "addr"], ["ssh", "-oConnectTimeout=1", "-oBatchMode=yes", "127.0.0.1", "true"], ["tc", "qdisc"], ["iptables", "-L"], ["apt-get", "--version"] if False else ["pip", "download", "x", "-q", "--timeout", "1", "--retries", "0"]):
    try:
        p = subprocess.run(command, capture_output=True, text=True, timeout=5)
        print(command[0], p.returncode, (p.stderr or p.stdout)[:60].strip())
        if p.returncode == 0:
            bad.append(" ".join(command))
    except (OSError, subprocess.TimeoutExpired) as e:
        print(command[0], type(e).__name__)
escaped(bad) if bad else contained("none of them reaches anything")
