/** The editor's own part of the app, loaded when a page with code is shown. */
import { autocompletion, closeBrackets, closeBracketsKeymap, type CompletionSource, completionKeymap, startCompletion } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, indentLess, indentMore, indentWithTab } from '@codemirror/commands';
import { javascript } from '@codemirror/lang-javascript';
import { python } from '@codemirror/lang-python';
import { bracketMatching, defineLanguageFacet, HighlightStyle, indentOnInput, indentUnit, Language, StreamLanguage, syntaxHighlighting } from '@codemirror/language';
import { shell } from '@codemirror/legacy-modes/mode/shell';
import { highlightSelectionMatches, searchKeymap } from '@codemirror/search';
import { Compartment, EditorState, type Extension, Prec } from '@codemirror/state';
import { drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, type KeyBinding, keymap, lineNumbers } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { parser as markdownParser } from '@lezer/markdown';

export interface Options {
  language: string;
  fontSize: number;
  wrap: boolean;
  numbers: boolean;
}

/** What a cell of a notebook does with keys that mean something beyond its text. */
export interface CellKeys {
  run(then: 'stay' | 'next' | 'insert'): void;
  escape(): void;
  /** Past the first or the last line; false when there is nowhere to go. */
  leave(by: -1 | 1): boolean;
  split(at: number): void;
  complete(code: string, cursor: number): Promise<{ matches: string[]; from: number } | null>;
  inspect(code: string, cursor: number): void;
}

export interface Setup extends Options {
  parent: ShadowRoot;
  text: string;
  selection: { anchor: number; head: number } | null;
  changed(text: string): void;
  run(): void;
  /** A cell is as high as its text, and has these keys. */
  cell?: CellKeys;
}

const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword, tags.modifier], color: 'var(--code-keyword)' },
  { tag: [tags.string, tags.special(tags.string), tags.regexp], color: 'var(--code-string)' },
  { tag: [tags.number, tags.bool, tags.null, tags.atom], color: 'var(--code-number)' },
  { tag: [tags.function(tags.variableName), tags.function(tags.definition(tags.variableName)), tags.className], color: 'var(--code-name)' },
  { tag: [tags.definition(tags.className), tags.standard(tags.variableName), tags.meta], color: 'var(--code-name)' },
  { tag: tags.heading, color: 'var(--ink)', fontWeight: '600' },
  { tag: tags.strong, fontWeight: '700' },
  { tag: tags.emphasis, fontStyle: 'italic' },
  { tag: [tags.link, tags.url], color: 'var(--code-name)' },
  { tag: tags.monospace, color: 'var(--code-string)' },
  { tag: tags.processingInstruction, color: 'var(--code-comment)' },
  { tag: tags.comment, color: 'var(--code-comment)', fontStyle: 'italic' },
]);

const look = EditorView.theme({
  '&': { height: '100%', color: 'var(--ink)', backgroundColor: 'var(--raised)' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.55', fontVariantLigatures: 'none' },
  '.cm-content': { caretColor: 'var(--ember)', padding: '12px 0' },
  '.cm-cursor': { borderLeftColor: 'var(--ember)', borderLeftWidth: '2px' },
  '.cm-gutters': { backgroundColor: 'var(--raised)', color: 'var(--ink-soft)', border: 'none', paddingLeft: '4px' },
  '.cm-activeLine': { backgroundColor: 'color-mix(in srgb, var(--hover) 45%, transparent)' },
  '.cm-activeLineGutter': { backgroundColor: 'transparent', color: 'var(--ink)' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': { backgroundColor: 'color-mix(in srgb, var(--ember) 26%, transparent)' },
  '.cm-matchingBracket': { backgroundColor: 'color-mix(in srgb, var(--glaze) 25%, transparent)', outline: 'none' },
  '.cm-selectionMatch': { backgroundColor: 'color-mix(in srgb, var(--glaze) 18%, transparent)' },
  '.cm-panels': { backgroundColor: 'var(--sunken)', color: 'var(--ink)', borderColor: 'var(--line)' },
  '.cm-textfield, .cm-button': { backgroundColor: 'var(--raised)', backgroundImage: 'none', border: '1px solid var(--line-strong)', borderRadius: '4px', color: 'var(--ink)' },
  '.cm-tooltip': { backgroundColor: 'var(--raised)', border: '1px solid var(--line)', borderRadius: '5px', color: 'var(--ink)' },
  '.cm-tooltip-autocomplete ul li[aria-selected]': { backgroundColor: 'var(--ember)', color: 'var(--on-ember)' },
});

/** In a cell: as in the placeholder that stands there until the editor has come. */
const cellLook = EditorView.theme({
  '&': { height: 'auto', backgroundColor: 'transparent' },
  '.cm-content': { padding: '8px 0' },
  '.cm-line': { padding: '0 12px' },
  '.cm-gutters': { backgroundColor: 'transparent' },
  '.cm-activeLine': { backgroundColor: 'transparent' },
});

const LANGUAGES: Record<string, () => Extension> = {
  python: () => [python(), indentUnit.of('    ')],
  bash: () => [StreamLanguage.define(shell), indentUnit.of('  ')],
  javascript: () => [javascript(), indentUnit.of('  ')],
  node: () => [javascript(), indentUnit.of('  ')],
  markdown: () => [new Language(defineLanguageFacet(), markdownParser, [], 'markdown').extension, EditorView.lineWrapping],
};

export class CodeEditor {
  private readonly view: EditorView;
  private readonly options = new Compartment();
  private quiet = false;

  constructor(setup: Setup) {
    this.view = new EditorView({
      parent: setup.parent,
      // In a shadow root the styles are constructed sheets, which the page's strict policy allows.
      root: setup.parent,
      state: EditorState.create({
        doc: setup.text,
        ...(setup.selection ? { selection: setup.selection } : {}),
        extensions: [
          Prec.highest(keymap.of(setup.cell ? runKeys(setup.cell) : [{ key: 'Mod-Enter', preventDefault: true, run: () => (setup.run(), true) }])),
          highlightActiveLine(), history(), drawSelection(), indentOnInput(), bracketMatching(), closeBrackets(),
          autocompletion(setup.cell ? { override: [completionsOf(setup.cell)] } : {}), highlightSelectionMatches(),
          // A cell's arrows and Escape come after those of an open list of completions.
          keymap.of([...completionKeymap, ...(setup.cell ? cellKeys(setup.cell) : [])]),
          keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...(setup.cell ? [] : searchKeymap), ...historyKeymap, indentWithTab]),
          syntaxHighlighting(colours), setup.cell ? cellLook : [], look, EditorState.tabSize.of(4),
          EditorView.contentAttributes.of({ tabindex: setup.cell ? '-1' : '0', 'aria-label': `${setup.language === 'markdown' ? 'Text' : 'Code'}. Escape, then Tab leaves the editor.` }),
          this.options.of(extensions(setup)),
          EditorView.updateListener.of((update) => {
            if (update.docChanged && !this.quiet) setup.changed(update.state.doc.toString());
          }),
        ],
      }),
    });
  }

  configure(options: Options): void {
    this.view.dispatch({ effects: this.options.reconfigure(extensions(options)) });
  }

  /** Puts another text in place, as one step that can be undone. */
  replace(text: string): void {
    if (text === this.view.state.doc.toString()) return;
    this.quiet = true;
    this.view.dispatch({ changes: { from: 0, to: this.view.state.doc.length, insert: text }, selection: { anchor: 0 } });
    this.quiet = false;
  }

  focus(): void {
    this.view.focus();
  }

  get focused(): boolean {
    return this.view.hasFocus;
  }

  get selection(): { from: number; to: number } {
    const { from, to } = this.view.state.selection.main;
    return { from, to };
  }

  /** Puts the cursor, or a selection, and brings it into view. */
  select(from: number, to = from): void {
    const end = this.view.state.doc.length;
    this.view.dispatch({ selection: { anchor: Math.min(from, end), head: Math.min(to, end) }, scrollIntoView: true });
  }

  /** One step of the person's own: it can be undone, and is told. */
  edit(text: string, from: number, to: number): void {
    this.view.dispatch({ changes: { from: 0, to: this.view.state.doc.length, insert: text }, selection: { anchor: from, head: to } });
  }

  /** After what is selected. */
  insert(text: string): void {
    const at = this.view.state.selection.main.to;
    this.view.dispatch({ changes: { from: at, insert: text }, selection: { anchor: at + text.length } });
  }

  destroy(): void {
    this.view.destroy();
  }
}

function extensions({ language, fontSize, wrap, numbers }: Options): Extension {
  const size = EditorView.theme({ '.cm-scroller': { fontSize: `${fontSize}px` } });
  return [LANGUAGES[language]?.() ?? [], size, wrap ? EditorView.lineWrapping : [], numbers ? [lineNumbers(), highlightActiveLineGutter()] : []];
}

function runKeys(cell: CellKeys): KeyBinding[] {
  return [
    { key: 'Mod-Enter', preventDefault: true, run: () => (cell.run('stay'), true) },
    { key: 'Shift-Enter', preventDefault: true, run: () => (cell.run('next'), true) },
    { key: 'Alt-Enter', preventDefault: true, run: () => (cell.run('insert'), true) },
  ];
}

function cellKeys(cell: CellKeys): KeyBinding[] {
  const at = (view: EditorView) => view.state.selection.main;
  const line = (view: EditorView) => view.state.doc.lineAt(at(view).head);
  return [
    { key: 'Escape', run: () => (cell.escape(), true) },
    { key: 'Ctrl-m', run: () => (cell.escape(), true) },
    { key: 'Ctrl-Shift--', preventDefault: true, run: (view) => (cell.split(at(view).head), true) },
    { key: 'ArrowUp', run: (view) => at(view).empty && line(view).number === 1 && cell.leave(-1) },
    { key: 'ArrowDown', run: (view) => at(view).empty && line(view).number === view.state.doc.lines && cell.leave(1) },
    { key: 'Tab', run: (view) => (at(view).empty && /[\w.]$/.test(before(view)) && startCompletion(view)) || indentMore(view) },
    {
      key: 'Shift-Tab',
      preventDefault: true,
      run: (view) => {
        if (!at(view).empty || before(view).trim() === '') return indentLess(view);
        cell.inspect(view.state.doc.toString(), at(view).head);
        return true;
      },
    },
  ];
}

/** The line up to the cursor. */
function before(view: EditorView): string {
  const { head } = view.state.selection.main;
  const line = view.state.doc.lineAt(head);
  return line.text.slice(0, head - line.from);
}

/** What the session knows; asked for after a dot, a word, or by hand. */
function completionsOf(cell: CellKeys): CompletionSource {
  return async (context) => {
    const word = context.matchBefore(/[\w.]+$/);
    if (!context.explicit && (!word || word.to - word.from < 2)) return null;
    const found = await cell.complete(context.state.doc.toString(), context.pos);
    if (!found || context.aborted) return null;
    return { from: found.from, options: found.matches.map((label) => ({ label })), validFor: /^\w*$/ };
  };
}
