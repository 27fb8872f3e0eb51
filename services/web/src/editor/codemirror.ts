/** The editor's own part of the app, loaded when a page with code is shown. */
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { javascript } from '@codemirror/lang-javascript';
import { python } from '@codemirror/lang-python';
import { bracketMatching, HighlightStyle, indentOnInput, indentUnit, StreamLanguage, syntaxHighlighting } from '@codemirror/language';
import { shell } from '@codemirror/legacy-modes/mode/shell';
import { highlightSelectionMatches, searchKeymap } from '@codemirror/search';
import { Compartment, EditorState, type Extension, Prec } from '@codemirror/state';
import { drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers } from '@codemirror/view';
import { tags } from '@lezer/highlight';

export interface Options {
  language: string;
  fontSize: number;
  wrap: boolean;
}

export interface Setup extends Options {
  parent: ShadowRoot;
  text: string;
  selection: { anchor: number; head: number } | null;
  changed(text: string): void;
  run(): void;
}

const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword, tags.modifier], color: 'var(--code-keyword)' },
  { tag: [tags.string, tags.special(tags.string), tags.regexp], color: 'var(--code-string)' },
  { tag: [tags.number, tags.bool, tags.null, tags.atom], color: 'var(--code-number)' },
  { tag: [tags.function(tags.variableName), tags.function(tags.definition(tags.variableName)), tags.className], color: 'var(--code-name)' },
  { tag: [tags.definition(tags.className), tags.standard(tags.variableName), tags.meta], color: 'var(--code-name)' },
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

const LANGUAGES: Record<string, () => Extension> = {
  python: () => [python(), indentUnit.of('    ')],
  bash: () => [StreamLanguage.define(shell), indentUnit.of('  ')],
  javascript: () => [javascript(), indentUnit.of('  ')],
  node: () => [javascript(), indentUnit.of('  ')],
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
          Prec.highest(keymap.of([{ key: 'Mod-Enter', preventDefault: true, run: () => (setup.run(), true) }])),
          lineNumbers(), highlightActiveLineGutter(), highlightActiveLine(), history(), drawSelection(), indentOnInput(),
          bracketMatching(), closeBrackets(), autocompletion(), highlightSelectionMatches(),
          keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...completionKeymap, indentWithTab]),
          syntaxHighlighting(colours), look, EditorState.tabSize.of(4),
          EditorView.contentAttributes.of({ tabindex: '0', 'aria-label': 'Code. Escape, then Tab leaves the editor.' }),
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

  destroy(): void {
    this.view.destroy();
  }
}

function extensions({ language, fontSize, wrap }: Options): Extension {
  const size = EditorView.theme({ '.cm-scroller': { fontSize: `${fontSize}px` } });
  return [LANGUAGES[language]?.() ?? [], size, wrap ? EditorView.lineWrapping : []];
}
