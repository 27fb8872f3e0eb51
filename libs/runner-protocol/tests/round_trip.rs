//! Every message survives the wire in pieces of any size, and no bytes make the decoder panic.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use kiln_runner_protocol::dialogue::{Greeting, Step};
use kiln_runner_protocol::{
    Answered, Cell, CellEnd, CellOutcome, Command, Confinement, Decoder, DiskUse, Exit, ExitStatus, FromKernel, KernelEnd,
    KernelOutcome, MAX_FRAME_BYTES, Message, Program, ProtocolError, Question, QuestionKind, Report, StartFailure, Stopped,
    Stream, StreamTotal, ToKernel, VERSION, encode,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn program() -> impl Strategy<Value = Program> {
    (vec(".*", 0..5), vec((".*", ".*"), 0..5), any::<bool>(), any::<u64>(), any::<Option<u64>>()).prop_map(
        |(argv, env, interactive, number, optional)| Program {
            argv: argv.clone(),
            args: argv,
            env,
            directory: "/workspace".to_owned(),
            interactive,
            timeout_ms: number,
            output_bytes: number,
            session: interactive,
            confinement: Confinement {
                user_id: Some(1000),
                landlock: interactive,
                seccomp: true,
                writable: vec!["/tmp".to_owned()],
                shared: vec!["/workspace".to_owned()],
                talks: interactive,
                open_files: 256,
                file_bytes: number,
                data_bytes: optional,
                processes: optional,
                cpu_seconds: optional,
            },
        },
    )
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        program().prop_map(|program| Command::Start(Box::new(program))),
        vec(any::<u8>(), 0..2000).prop_map(Command::Stdin),
        Just(Command::CloseStdin),
        any::<i32>().prop_map(Command::Signal),
        Just(Command::Kill),
        Just(Command::StopCell),
        Just(Command::Interrupt),
        Just(Command::Restart),
        cell().prop_map(|cell| Command::Cell(Box::new(cell))),
        question().prop_map(|question| Command::Question(Box::new(question))),
    ]
}

fn cell() -> impl Strategy<Value = Cell> {
    (".*", any::<bool>(), any::<u64>()).prop_map(|(code, flag, number)| Cell {
        code,
        silent: flag,
        interactive: !flag,
        timeout_ms: number,
        output_bytes: number,
    })
}

fn question() -> impl Strategy<Value = Question> {
    (".*", any::<u64>()).prop_map(|(code, number)| Question {
        id: number,
        kind: QuestionKind::Inspect,
        code,
        cursor: number,
        detail: 1,
    })
}

fn cell_end() -> impl Strategy<Value = CellEnd> {
    (any::<bool>(), any::<i32>(), any::<u64>()).prop_map(|(gone, number, figure)| CellEnd {
        outcome: if gone { CellOutcome::Gone(ExitStatus::Signal(number)) } else { CellOutcome::Exception },
        stopped: gone.then_some(Stopped::Command),
        execution_count: Some(figure),
        wall_us: figure,
        stdout: StreamTotal::default(),
        stderr: StreamTotal { kept_bytes: figure, discarded_bytes: figure },
        displays_dropped: figure,
        disk: DiskUse { most_used_bytes: figure, least_free_inodes: figure },
    })
}

fn to_kernel() -> impl Strategy<Value = ToKernel> {
    prop_oneof![
        (any::<u64>(), cell()).prop_map(|(id, cell)| ToKernel::Cell(id, Box::new(cell))),
        question().prop_map(|question| ToKernel::Question(Box::new(question))),
        Just(ToKernel::Synced),
    ]
}

fn from_kernel() -> impl Strategy<Value = FromKernel> {
    prop_oneof![
        vec(any::<u8>(), 0..2000).prop_map(FromKernel::Stdout),
        vec(any::<u8>(), 0..2000).prop_map(FromKernel::Stderr),
        vec(any::<u8>(), 0..2000).prop_map(FromKernel::Output),
        any::<u64>().prop_map(|id| FromKernel::Ended(KernelEnd { id, outcome: KernelOutcome::Interrupted, execution_count: id })),
        any::<u64>().prop_map(|id| FromKernel::Reply(Answered { id, content: b"{\"found\":false}".to_vec() })),
        Just(FromKernel::Sync),
        Just(FromKernel::Ready),
    ]
}

fn exit() -> impl Strategy<Value = Exit> {
    (any::<bool>(), any::<i32>(), any::<u64>()).prop_map(|(signalled, number, figure)| Exit {
        status: if signalled { ExitStatus::Signal(number) } else { ExitStatus::Code(number) },
        stopped: signalled.then_some(Stopped::WallTime),
        wall_us: figure,
        cpu_us: figure,
        largest_process_bytes: figure,
        stdout: StreamTotal { kept_bytes: figure, discarded_bytes: figure },
        stderr: StreamTotal::default(),
        displays_dropped: figure,
        disk: DiskUse { most_used_bytes: figure, least_free_inodes: figure },
    })
}

fn report() -> impl Strategy<Value = Report> {
    let stream = prop_oneof![Just(Stream::Stdout), Just(Stream::Stderr)];
    prop_oneof![
        any::<u32>().prop_map(|version| Report::Hello { version }),
        Just(Report::Started),
        (".*", any::<i32>()).prop_map(|(step, errno)| Report::StartFailed(StartFailure { step, errno })),
        (stream, vec(any::<u8>(), 0..2000)).prop_map(|(stream, bytes)| Report::Output { stream, bytes }),
        vec(any::<u8>(), 0..2000).prop_map(Report::Display),
        any::<bool>().prop_map(Report::WaitingForInput),
        any::<u32>().prop_map(Report::StdinTaken),
        exit().prop_map(|exit| Report::Ended(Box::new(exit))),
        any::<bool>().prop_map(|restarted| Report::KernelReady { restarted }),
        cell_end().prop_map(|end| Report::CellEnded(Box::new(end))),
        (any::<u64>(), vec(any::<u8>(), 0..200)).prop_map(|(id, content)| Report::Answered(Answered { id, content })),
    ]
}

fn survives<M: Message + PartialEq + std::fmt::Debug + Clone>(messages: &[M], piece: usize) {
    let mut wire = Vec::new();
    for message in messages {
        encode(message, &mut wire).unwrap();
    }
    let (mut decoder, mut read) = (Decoder::<M>::default(), Vec::new());
    for bytes in wire.chunks(piece) {
        decoder.push(bytes);
        while let Some(message) = decoder.next_message().unwrap() {
            read.push(message);
        }
    }
    assert_eq!(read, messages);
}

proptest! {
    #[test]
    fn commands_survive(messages in vec(command(), 0..8), piece in 1_usize..3000) {
        survives(&messages, piece);
    }

    #[test]
    fn reports_survive(messages in vec(report(), 0..8), piece in 1_usize..3000) {
        survives(&messages, piece);
    }

    #[test]
    fn what_goes_to_and_from_a_kernel_survives(to in vec(to_kernel(), 0..8), from in vec(from_kernel(), 0..8), piece in 1_usize..3000) {
        survives(&to, piece);
        survives(&from, piece);
    }

    #[test]
    fn garbage_never_panics(bytes in vec(any::<u8>(), 0..4000), kind in 0_u8..80) {
        let mut reports = Decoder::<Report>::default();
        reports.push(&bytes);
        while let Ok(Some(_)) = reports.next_message() {}
        let mut commands = Decoder::<Command>::default();
        commands.push(&bytes);
        while let Ok(Some(_)) = commands.next_message() {}
        let _ = Report::read(kind, &bytes);
        let _ = FromKernel::read(kind, &bytes);
        let _ = Command::read(kind, &bytes);
    }
}

#[test]
fn an_endless_frame_is_refused_by_its_header() {
    let mut decoder = Decoder::<Report>::default();
    decoder.push(&u32::try_from(MAX_FRAME_BYTES + 1).unwrap().to_le_bytes());
    decoder.push(&[64]);
    assert!(matches!(decoder.next_message(), Err(ProtocolError::TooLong(_))));
    let mut out = vec![7];
    let long = Report::Output { stream: Stream::Stdout, bytes: vec![0; MAX_FRAME_BYTES + 1] };
    assert!(encode(&long, &mut out).is_err());
    assert_eq!(out, [7]);
}

#[test]
fn the_dialogue_refuses_what_does_not_belong() {
    assert!(matches!(Greeting::default().receive(&Report::Started), Err(ProtocolError::Unexpected { .. })));
    let other = Report::Hello { version: VERSION + 1 };
    assert!(matches!(Greeting::default().receive(&other), Err(ProtocolError::Version(_))));

    let idle = Greeting::default().receive(&Report::Hello { version: VERSION }).unwrap();
    let program = program().new_tree(&mut proptest::test_runner::TestRunner::default()).unwrap();
    let starting = idle.start(proptest::strategy::ValueTree::current(&program), &mut Vec::new()).unwrap();
    let running = starting.receive(Report::Started).unwrap().unwrap();
    let Step::Continue(running, _) = running.receive(Report::WaitingForInput(true)).unwrap() else { panic!("not over yet") };
    assert!(running.receive(Report::Started).is_err());
}
