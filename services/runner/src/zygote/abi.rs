//! What `driver/zygote.py` calls, by ctypes, so for every version of the interpreter alike.
#![expect(unsafe_code, reason = "functions called from C, with pointers to C strings")]

use std::ffi::{CStr, c_char, c_int};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kiln_runner_protocol::ZygoteReport;

use super::sandbox::Sandbox;
use super::{Failed, Side, Zygote, program};

/// The zygote and, in a child of it, the sandbox that is being built. There is one thread.
static STATE: Mutex<(Option<Zygote>, Option<Box<Sandbox>>)> = Mutex::new((None, None));

fn state() -> MutexGuard<'static, (Option<Zygote>, Option<Box<Sandbox>>)> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes over the descriptors that the spawner has passed. 0, or -1 when this cannot be a zygote.
#[unsafe(no_mangle)]
pub extern "C" fn kiln_zygote_open() -> c_int {
    match Zygote::open() {
        Ok(zygote) => {
            state().0 = Some(zygote);
            0
        }
        Err(failed) => {
            eprintln!("{}: {}", failed.step, failed.detail);
            -1
        }
    }
}

/// Says that everything is imported; `modules` are names with commas between. -1 when that is not so.
///
/// # Safety
/// `modules` is a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kiln_zygote_ready(modules: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    let modules = unsafe { CStr::from_ptr(modules) }.to_string_lossy();
    let state = state();
    let Some(zygote) = &state.0 else { return -1 };
    match zygote.ready(&modules) {
        Ok(()) => 0,
        Err(failed) => {
            report_failure(zygote, failed.step, failed.detail);
            -1
        }
    }
}

/// Says why this is no zygote.
///
/// # Safety
/// `detail` is a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kiln_zygote_failed(detail: *const c_char) {
    // SAFETY: the caller's promise.
    let detail = unsafe { CStr::from_ptr(detail) }.to_string_lossy();
    if let Some(zygote) = &state().0 {
        report_failure(zygote, "import", detail.into_owned());
    }
}

fn report_failure(zygote: &Zygote, step: &str, detail: String) {
    // A spawner that has gone needs no report.
    let _ = zygote.report(&ZygoteReport::Failed { step: step.to_owned(), detail });
}

/// Waits for work. 0 in the first process of each new sandbox, built as far as the second fork; 1 in the zygote
/// when the spawner has gone.
#[unsafe(no_mangle)]
pub extern "C" fn kiln_zygote_next() -> c_int {
    let mut state = state();
    let Some(zygote) = &state.0 else { return 1 };
    let Side::Child(mut sandbox) = zygote.next() else { return 1 };
    if let Err(failed) = sandbox.build() {
        give_up(&mut sandbox, &failed);
    }
    state.1 = Some(sandbox);
    0
}

/// Makes the first process the runner, with `program` as the process that waits. Never returns.
#[unsafe(no_mangle)]
pub extern "C" fn kiln_sandbox_runner(program: c_int) {
    let mut state = state();
    let (Some(zygote), Some(mut sandbox)) = (state.0.take(), state.1.take()) else { exit() };
    // Its descriptors are closed with all the others.
    std::mem::forget(zygote);
    if let Err(failed) = sandbox.become_runner(program) {
        give_up(&mut sandbox, &failed);
    }
    exit()
}

/// Confines the program's process. Returns once every control is set.
#[unsafe(no_mangle)]
pub extern "C" fn kiln_sandbox_program() {
    let mut state = state();
    let (Some(zygote), Some(mut sandbox)) = (state.0.take(), state.1.take()) else { exit() };
    if let Err(failed) = program::confine(&mut sandbox, &zygote.filters, &zygote.kept) {
        give_up(&mut sandbox, &failed);
    }
    // Its descriptors are closed; nothing of it may close their numbers again.
    std::mem::forget((zygote, sandbox));
}

/// Waits for the run and gives its message, of `length` bytes, which stays for good. Null: there is none.
///
/// # Safety
/// `length` points to a number that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kiln_sandbox_await(length: *mut usize) -> *const u8 {
    let Ok(message) = program::await_run() else { return std::ptr::null() };
    let message: &'static [u8] = message.leak();
    // SAFETY: the caller's promise.
    unsafe { *length = message.len() };
    message.as_ptr()
}

fn give_up(sandbox: &mut Sandbox, failed: &Failed) -> ! {
    sandbox.give_up(failed);
    exit()
}

fn exit() -> ! {
    // SAFETY: ends the process at once, without the interpreter's exit handlers.
    unsafe { libc::_exit(127) }
}
