//! Files in the working directory never take part in the interpreter's start-up, and can be imported afterwards.

use kiln_executor::runtimes::{Resolved, Runtimes, RuntimesConfig};
use kiln_executor::sandbox::RunSpec;

use crate::fixture::{file, finish, fixture, spec};
use crate::pythons;

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_directory_does_not_reach_start_up() {
    let Some(fixture) = fixture("programs-poisoned").await else { return };
    let poison = b"import sys\nsys.stdout.write('POISON\\n')\n";
    let mut files = vec![file("own.py", b"answer = 42\n"), file("poison.pth", b"import sys; sys.stdout.write('POISON')\n")];
    for name in ["sitecustomize", "usercustomize", "kiln_driver", "os", "site", "encodings", "io", "codecs", "pyvenv"] {
        files.push(file(&format!("{name}.py"), poison));
    }
    files.push(file("pyvenv.cfg", b"home = /workspace\n"));
    for Resolved { id, command, .. } in pythons(&fixture).await {
        fixture.sandboxes.prepare(&command).await;
        let code = "import own, os, sys\nprint(own.answer, os.path.dirname(os.__file__) != '/workspace', 'numpy' in sys.modules)";
        let run = fixture.sandboxes.start(RunSpec { files: files.clone(), ..spec(code) }, &command).await.unwrap();
        let outcome = finish(run).await.succeeded();
        assert_eq!(outcome.end.start, crate::START, "{id}");
        assert_eq!(outcome.stdout(), "42 True False\n", "{id}");
        assert_eq!(outcome.stderr(), "", "{id}");
        assert_eq!(outcome.ended().files, [], "{id}: nothing is left beside the user's files");
    }
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_runtime_has_the_standard_library_alone() {
    let Some(fixture) = fixture("programs-plain").await else { return };
    let runtimes = Runtimes::open(RuntimesConfig::new(fixture.data_dir.join("data"))).await.unwrap();
    let code = "import sys, os, subprocess\n\
                sites = [p for p in sys.path if 'packages' in p]\n\
                print(sorted(n for p in sites if os.path.isdir(p) for n in os.listdir(p) if 'kiln' not in n))\n\
                print(subprocess.check_output([sys.executable, '-c', 'import sys; print(sys.prefix)']).decode().strip() == sys.prefix)\n\
                print(subprocess.check_output(['python', '-c', 'import sys; print(sys.version)']).decode().strip() == sys.version)";
    for Resolved { id, command, .. } in pythons(&fixture).await {
        fixture.sandboxes.prepare(&command).await;
        let outcome = finish(fixture.sandboxes.start(spec(code), &command).await.unwrap()).await.succeeded();
        assert_eq!(outcome.stdout(), "[]\nTrue\nTrue\n", "{id}: {}", outcome.stderr());
    }
    for (id, code, output) in
        [("bash", "echo \"$0 $((6 * 7))\"", "/workspace/main.sh 42\n"), ("node", "console.log(6 * 7)", "42\n")]
    {
        let Ok(resolved) = runtimes.resolve(id) else { continue };
        let outcome = finish(fixture.sandboxes.start(spec(code), &resolved.command).await.unwrap()).await.succeeded();
        assert_eq!(outcome.stdout(), output, "{id}");
    }
    fixture.close().await;
}
