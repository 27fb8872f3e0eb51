/** Programs to begin with. Each shows one thing that Kiln does. */

export type Example = { name: string; about: string; runtime?: string; code: string };

export const EXAMPLES: Example[] = [
  {
    name: 'Live output',
    about: 'Lines arrive as they are printed',
    code: `import time

for n in range(1, 6):
    print(f"{n} squared is {n * n}")
    time.sleep(0.4)
print("Change something, and run it again.")
`,
  },
  {
    name: 'Guess the number',
    about: 'The program asks, you answer',
    code: `import random

secret = random.randint(1, 20)
print("I think of a number from 1 to 20.")
tries = 0
while True:
    guess = int(input("Your guess: "))
    tries += 1
    if guess == secret:
        print(f"Right, in {tries} tries.")
        break
    print("Higher." if guess < secret else "Lower.")
`,
  },
  {
    name: 'A plot',
    about: 'Figures appear among the output',
    runtime: 'base',
    code: `import matplotlib.pyplot as plt
import numpy as np

x = np.linspace(0, 12, 600)
for damping in (0.05, 0.15, 0.4):
    plt.plot(x, np.exp(-damping * x) * np.cos(2 * x), label=f"damping {damping}")
plt.legend()
plt.title("Three springs")
plt.show()
print("Drawn.")
`,
  },
  {
    name: 'Files',
    about: 'What a run leaves can be downloaded',
    code: `import csv
import json

planets = [("Mercury", 88), ("Venus", 225), ("Earth", 365), ("Mars", 687)]

with open("planets.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["planet", "days a year"])
    writer.writerows(planets)

with open("planets.json", "w") as file:
    json.dump(dict(planets), file, indent=2)

print("Two files are below the output.")
`,
  },
  {
    name: 'Versions',
    about: 'Runs on 3.10 and newer; try it on 3.9',
    code: `import sys


def describe(point):
    match point:
        case (0, 0):
            return "the origin"
        case (x, 0):
            return f"on the x axis at {x}"
        case (x, y):
            return f"at {x}, {y}"


print("Python", sys.version.split()[0])
for point in [(0, 0), (3, 0), (2, 5)]:
    print(point, "is", describe(point))
`,
  },
  {
    name: 'Progress and colours',
    about: 'As in a terminal',
    code: `import time

for done in range(41):
    bar = "█" * done + "░" * (40 - done)
    print(f"\\r\\033[36m{bar}\\033[0m {done * 100 // 40:3} %", end="", flush=True)
    time.sleep(0.05)
print("\\n\\033[1;32mDone.\\033[0m")
`,
  },
  {
    name: 'Too much memory',
    about: 'A run that ends at its limit, and why',
    code: `hoard = []
while True:
    hoard.append(bytearray(16 * 1024 * 1024))
    print(f"holding {len(hoard) * 16} MiB")
`,
  },
];

export const FIRST = EXAMPLES[0] as Example;
