/** The project's source as the TypeScript compiler sees it: who imports what, and which globals a file uses. */
import { relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as ast from 'typescript/unstable/ast'
import { API, type Project } from 'typescript/unstable/sync'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/[\\/]$/, '')

export interface Import {
  /** As written. */
  specifier: string
  /** A file of the source, relative to the root; null for a package or a built-in. */
  file: string | null
  /** Package name, or `node:x`; null for a file of the source. */
  package: string | null
  /** `value` exists at run time, `type` is erased. */
  kind: 'value' | 'type'
}

export interface GlobalUse {
  /** As written, e.g. `Date.now`, `new Date()`, `process`. */
  name: string
  line: number
  /** `node`: declared by Node's types. `clock`: the language's own source of time or chance. */
  from: 'node' | 'clock'
}

export interface SourceFile {
  /** Relative to the root, `/` as separator. */
  path: string
  imports: Import[]
  globals: GlobalUse[]
}

/** Every TypeScript file under src and at the root, except declaration and configuration files. */
export function readSourceTree(): SourceFile[] {
  const api = new API({ cwd: ROOT })
  try {
    const snapshot = api.updateSnapshot({ openProjects: [`${ROOT}/tsconfig.json`] })
    const [project] = snapshot.getProjects()
    if (project === undefined) throw new Error('no tsconfig.json')
    return project.rootFiles
      .map((path) => ({ path: toRelative(path), source: project.program.getSourceFile(path) }))
      .filter(({ path }) => path.startsWith('src/') || path === 'client.ts' || path === 'worker.ts')
      .map(({ path, source }) => {
        if (source === undefined) throw new Error(`${path} is not in the program`)
        return { path, imports: importsOf(path, source), globals: globalsOf(project, source) }
      })
  } finally {
    api.close()
  }
}

function toRelative(path: string): string {
  return relative(ROOT, path).split(sep).join('/')
}

function importsOf(path: string, source: ast.SourceFile): Import[] {
  const found: Import[] = []
  const add = (specifier: ast.Node | undefined, kind: Import['kind']): void => {
    if (specifier === undefined || !ast.isStringLiteral(specifier)) return
    found.push({ specifier: specifier.text, kind, ...target(path, specifier.text) })
  }
  const visit = (node: ast.Node): void => {
    if (ast.isImportDeclaration(node)) add(node.moduleSpecifier, isTypeImport(node) ? 'type' : 'value')
    else if (ast.isExportDeclaration(node)) add(node.moduleSpecifier, isTypeExport(node) ? 'type' : 'value')
    else if (ast.isImportTypeNode(node) && ast.isLiteralTypeNode(node.argument)) add(node.argument.literal, 'type')
    else if (ast.isCallExpression(node) && node.expression.kind === ast.SyntaxKind.ImportKeyword) {
      add(node.arguments[0], 'value')
    }
    node.forEachChild(visit)
  }
  visit(source)
  return found
}

/** `import { type A }` keeps the module at run time; `import type` does not. */
function isTypeImport({ importClause }: ast.ImportDeclaration): boolean {
  return importClause?.phaseModifier === ast.SyntaxKind.TypeKeyword
}

function isTypeExport({ isTypeOnly }: ast.ExportDeclaration): boolean {
  return isTypeOnly
}

function target(path: string, specifier: string): Pick<Import, 'file' | 'package'> {
  if (specifier.startsWith('.')) {
    return { file: new URL(specifier, `file:///${path}`).pathname.slice(1), package: null }
  }
  if (specifier.startsWith('node:')) return { file: null, package: specifier }
  const parts = specifier.split('/')
  return { file: null, package: specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] ?? specifier) }
}

function globalsOf(project: Project, source: ast.SourceFile): GlobalUse[] {
  const found: GlobalUse[] = []
  const candidates: ast.Identifier[] = []
  const add = (node: ast.Node, from: GlobalUse['from']): void => {
    const name = node.getText(source)
    found.push({ name, from, line: source.text.slice(0, node.getStart(source)).split('\n').length })
  }
  const visit = (node: ast.Node): void => {
    if (isClock(node, source)) add(node, 'clock')
    if (ast.isIdentifier(node) && isFree(node)) candidates.push(node)
    // Types are erased: `NodeJS.Timeout` opens nothing.
    if (!ast.isTypeNode(node)) node.forEachChild(visit)
  }
  visit(source)
  const symbols = project.checker.getSymbolAtLocation(candidates)
  candidates.forEach((node, index) => {
    const paths = (symbols[index]?.declarations ?? []).map((declaration) => String(declaration.path))
    if (paths.length > 0 && paths.every((path) => path.includes('/@types/node/'))) add(node, 'node')
  })
  return found
}

/** A name that stands for itself: not what follows a dot, and not the name something is declared or imported by. */
function isFree(node: ast.Identifier): boolean {
  const { parent } = node
  if (ast.isPropertyAccessExpression(parent)) return parent.expression === node
  if (ast.isPropertyAssignment(parent)) return parent.initializer === node
  return !ast.isImportSpecifier(parent) && !ast.isImportClause(parent) && !ast.isNamespaceImport(parent)
}

function isClock(node: ast.Node, source: ast.SourceFile): boolean {
  if (ast.isPropertyAccessExpression(node)) return ['Date.now', 'Math.random'].includes(node.getText(source))
  if (ast.isNewExpression(node)) return node.expression.getText(source) === 'Date' && !node.arguments?.length
  return ast.isCallExpression(node) && node.expression.getText(source) === 'Date'
}
