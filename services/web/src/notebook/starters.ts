/** Notebooks to begin with. */
import { type CellContent, newCell } from './format';

export type Starter = { name: string; about: string; runtime?: string; cells: () => CellContent[] };

export const STARTERS: Starter[] = [
  {
    name: 'First steps',
    about: 'Cells, variables that stay, and keys',
    cells: () => [
      newCell('markdown', '# First steps\n\nA notebook is made of **cells**. Press `Shift Enter` to run one and go on to the next; `H` shows all keys.'),
      newCell('code', 'greeting = "Hello from a cell"\nprint(greeting)'),
      newCell('markdown', 'What a cell defines stays for the cells after it. The last value of a cell is shown below it.'),
      newCell('code', 'greeting.upper().split()'),
      newCell('code', 'name = input("What is your name? ")\nf"Welcome, {name}."'),
    ],
  },
  {
    name: 'A table and a plot',
    about: 'pandas and Matplotlib',
    runtime: 'base',
    cells: () => [
      newCell('markdown', '# Days a year\n\nA table with *pandas*, and a plot of it.'),
      newCell('code', 'import pandas as pd\n\nplanets = pd.DataFrame(\n    {"planet": ["Mercury", "Venus", "Earth", "Mars"], "days": [88, 225, 365, 687]}\n)\nplanets'),
      newCell('code', 'import matplotlib.pyplot as plt\n\nplt.bar(planets["planet"], planets["days"], color="#b3431a")\nplt.ylabel("days a year")\nplt.show()'),
      newCell('code', 'planets.describe()'),
    ],
  },
  {
    name: 'Files that stay',
    about: 'Read and write a workspace',
    cells: () => [
      newCell('markdown', '# Files that stay\n\nChoose a workspace under the session button above; then what is written here is on the page *Files*, and there after a restart.'),
      newCell('code', 'from pathlib import Path\n\nPath("notes").mkdir(exist_ok=True)\nPath("notes/today.txt").write_text("written by a notebook\\n")\nsorted(str(path) for path in Path(".").rglob("*"))'),
    ],
  },
];
