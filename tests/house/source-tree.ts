/** Reads the source tree for the house rules: files, what they import, what they mention. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface SourceFile {
  /** Below the root, such as `src/model/vm.ts`. */
  readonly path: string;
  /** First folder below src, such as `model`; empty for a file in src itself. */
  readonly room: string;
  readonly text: string;
  readonly imports: readonly Import[];
}

export interface Import {
  /** As it is written. */
  readonly specifier: string;
  /** The file of this tree that it means, or null for a package. */
  readonly file: string | null;
  /** Nothing of it is left after compiling. */
  readonly typeOnly: boolean;
}

/** Paths below a folder of the root, those of installed or built things left out. */
export function filesBelow(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .filter((path) => !/(^|\/)(node_modules|dist|\.berth)\//.test(path))
    .sort();
}

export const readText = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

/** Every TypeScript file below src. */
export function sourceFiles(): SourceFile[] {
  return filesBelow('src')
    .filter((path) => path.endsWith('.ts'))
    .map((path) => {
      const text = readText(path);
      const parts = path.split('/');
      return {
        path,
        room: parts.length > 2 ? (parts[1] ?? '') : '',
        text,
        imports: importsOf(path, text),
      };
    });
}

export const parse = (path: string, text: string): ts.SourceFile =>
  ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);

function importsOf(path: string, text: string): Import[] {
  const found: Import[] = [];
  const add = (specifier: string, typeOnly: boolean) => {
    const file = specifier.startsWith('.')
      ? posix.join(dirname(path), specifier).replace(/\.js$/, '.ts')
      : null;
    found.push({ specifier, file, typeOnly });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      add(node.moduleSpecifier.text, isTypeOnly(node.importClause));
    } else if (ts.isExportDeclaration(node) && isText(node.moduleSpecifier)) {
      add(node.moduleSpecifier.text, node.isTypeOnly);
    } else if (ts.isCallExpression(node) && isText(node.arguments[0])) {
      const callee = node.expression;
      const isImport = callee.kind === ts.SyntaxKind.ImportKeyword;
      if (isImport || callee.getText() === 'require') add(node.arguments[0].text, false);
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      if (isText(node.argument.literal)) add(node.argument.literal.text, true);
    }
    ts.forEachChild(node, visit);
  };
  visit(parse(path, text));
  return found;
}

function isText(node: ts.Node | undefined): node is ts.StringLiteral {
  return node !== undefined && ts.isStringLiteral(node);
}

function isTypeOnly(clause: ts.ImportClause | undefined): boolean {
  if (clause === undefined) return false;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const names = clause.namedBindings;
  return (
    clause.name === undefined &&
    names !== undefined &&
    ts.isNamedImports(names) &&
    names.elements.every((element) => element.isTypeOnly)
  );
}

/** Lines in which code (types left out) does something that `judge` gives a name. */
export function findInCode(
  file: Pick<SourceFile, 'path' | 'text'>,
  judge: (node: ts.Node) => string | null,
): string[] {
  const source = parse(file.path, file.text);
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isTypeNode(node) || ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) {
      return;
    }
    const name = judge(node);
    if (name !== null) {
      const { line } = source.getLineAndCharacterOfPosition(node.getStart());
      found.push(`${file.path}:${line + 1} uses ${name}`);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}
