//! The programs that the end-to-end suite runs more than once.

/// Needs `match` (3.10); the type guard falls away before it was added to typing, so that only the grammar matters.
pub const VERSION_SAMPLE: &str = r#"
from typing import Any
try:
    from typing import TypeGuard
except ImportError:
    from typing import Generic, TypeVar
    T = TypeVar("T")
    class TypeGuard(Generic[T]):
        pass

def is_names(value: Any) -> TypeGuard[list]:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)

def describe(value: Any) -> str:
    match value:
        case {"x": x, "y": y}:
            return f"point {x},{y}"
        case [first, *rest] if is_names(value):
            return f"names {first} and {len(rest)} more"
        case _:
            return "something else"

print(describe({"x": 1, "y": 2}))
print(describe(["ann", "bob", "cy"]))
print(describe(3.5))
"#;

/// What [`VERSION_SAMPLE`] prints where it runs.
pub const VERSION_SAMPLE_PRINTS: &str = "point 1,2\nnames ann and 2 more\nsomething else\n";

/// The number is 7; each guess is answered, each prompt has no line feed.
pub const GUESSING_GAME: &str = r#"
print("I think of a number from 1 to 9.")
while True:
    guess = int(input("Your guess: "))
    if guess == 7:
        print("Right!")
        break
    print("Too low." if guess < 7 else "Too high.")
"#;

/// Says that it runs, then waits for longer than any test does.
pub const WAITS: &str = "import time\nprint('waiting', flush=True)\ntime.sleep(120)\n";
