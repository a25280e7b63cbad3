// Source files as a test of the architecture needs them: what they import, and what they call.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative, resolve, sep } from 'node:path'
import ts from 'typescript'

export const ROOT = resolve(import.meta.dirname, '../..')

/** An import, re-export, `import()` or `require()` of one file. */
export interface Import {
  /** Path from the root of the repository, or the name of a package. */
  readonly target: string
  /** Erased by the compiler: nothing is loaded at run time. */
  readonly isTypeOnly: boolean
}

/**
 * Lists the files below a folder whose names end as told, as paths from the root of the repository; without what npm
 * installed there.
 */
export function filesBelow(folder: string, endings: readonly string[]): string[] {
  const start = join(ROOT, folder)
  if (!existsSync(start)) return []
  return readdirSync(start, { recursive: true, encoding: 'utf8' })
    .filter(
      (name) =>
        endings.some((ending) => name.endsWith(ending)) &&
        !name.split(sep).includes('node_modules') &&
        statSync(join(start, name)).isFile()
    )
    .map((name) => join(folder, name).split(sep).join('/'))
    .sort()
}

export function readSource(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8')
}

/** Visits every node of a source file. */
function visit(file: string, look: (node: ts.Node) => void): void {
  const walk = (node: ts.Node): void => {
    look(node)
    ts.forEachChild(node, walk)
  }
  walk(ts.createSourceFile(file, readSource(file), ts.ScriptTarget.Latest))
}

/** Lists what a file imports. */
export function importsOf(file: string): Import[] {
  const imports: Import[] = []
  const add = (specifier: ts.Node | undefined, isTypeOnly: boolean): void => {
    if (specifier !== undefined && ts.isStringLiteralLike(specifier))
      imports.push({ target: resolveTarget(file, specifier.text), isTypeOnly })
  }
  visit(file, (node) => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, node.importClause?.isTypeOnly ?? false)
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly)
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, true)
    else if (ts.isCallExpression(node) && isLoading(node.expression)) add(node.arguments[0], false)
  })
  return imports
}

/** `import(...)`, or a call of something whose name begins with `require`. */
function isLoading(called: ts.Expression): boolean {
  return called.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(called) && called.text.startsWith('require'))
}

function resolveTarget(file: string, specifier: string): string {
  if (specifier === '#platform') return 'src/platform/node.ts'
  if (!specifier.startsWith('.')) return specifier
  const path = relative(ROOT, resolve(ROOT, file, '..', specifier))
    .split(sep)
    .join('/')
  return path.endsWith('.ts') ? path : `${path}.ts` // AssemblyScript leaves the ending out
}

/** Lists the members of `console` that a file uses. */
export function consoleUses(file: string): string[] {
  const uses: string[] = []
  visit(file, (node) => {
    if (ts.isPropertyAccessExpression(node) && ts.isIdentifier(node.expression) && node.expression.text === 'console')
      uses.push(node.name.text)
  })
  return uses
}

/** Finds a way round in a graph, or returns undefined where there is none. */
export function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const finished = new Set<string>()
  const follow = (path: readonly string[]): string[] | undefined => {
    const node = path[path.length - 1]
    if (path.indexOf(node) < path.length - 1) return path.slice(path.indexOf(node))
    if (finished.has(node)) return undefined
    for (const next of graph.get(node) ?? []) {
      const cycle = follow([...path, next])
      if (cycle !== undefined) return cycle
    }
    finished.add(node)
    return undefined
  }
  for (const node of graph.keys()) {
    const cycle = follow([node])
    if (cycle !== undefined) return cycle
  }
  return undefined
}
