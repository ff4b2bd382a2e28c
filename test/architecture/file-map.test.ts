import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ROOT } from './source-tree.ts'

const MAX_LINE = 160
const GENERATED_FOLDERS = ['work', '__pycache__', '.millrace']

describe('the map of files in AGENTS.md', () => {
  const map = readMap(readFileSync(join(ROOT, 'AGENTS.md'), 'utf8'))
  const files = filesToList()

  test('lists every file', () => {
    const listed = new Set(map.map(({ path }) => path))
    expect(files.filter((path) => !listed.has(path))).toEqual([])
  })

  test('lists no file that is gone, and none twice', () => {
    const paths = map.map(({ path }) => path)
    expect(paths.filter((path) => !files.includes(path))).toEqual([])
    expect(paths.filter((path, index) => paths.indexOf(path) !== index)).toEqual([])
  })

  test('says in one line what each file is for', () => {
    expect(map.filter(({ text }) => text.length < 8).map(({ path }) => path)).toEqual([])
    expect(map.filter(({ line }) => line.length > MAX_LINE).map(({ path }) => path)).toEqual([])
  })
})

interface MapEntry {
  path: string
  text: string
  line: string
}

/** Lines `- \`file\`: what it is for` under headings that name the folder; `.` is the root. */
function readMap(markdown: string): MapEntry[] {
  let folder = ''
  return markdown.split('\n').flatMap((line) => {
    const heading = /^### (\S+)$/.exec(line)?.[1]
    if (heading !== undefined) folder = heading === '.' ? '' : `${heading}/`
    const [, name, text = ''] = /^- `([^`]+)`: (.*)$/.exec(line) ?? []
    return name === undefined ? [] : [{ path: `${folder}${name}`, text, line }]
  })
}

/** Code and documents of the repository: no tests (they mirror src), no data of tests and examples, nothing generated. */
function filesToList(): string[] {
  const atRoot = filesBelow('').filter((name) => !/^\.git$|^\.env$|\.(duckdb|wal|tgz)$/.test(name))
  const below = ['.ci', 'src', 'bench', 'docs', 'scripts', 'test', 'examples'].flatMap(filesBelow).filter((path) => {
    if (path.startsWith('test/oracles/')) return false
    if (path.startsWith('examples/') || path.startsWith('test/fixtures/')) return /\.(ts|mts|mjs|md)$/.test(path)
    return !path.endsWith('.test.ts') || path.startsWith('test/architecture/')
  })
  return [...atRoot, ...below].sort()
}

/** Of the root only the files in it, for it holds folders of all sorts. */
function filesBelow(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (!entry.isDirectory()) return [path]
    return folder === '' || GENERATED_FOLDERS.includes(entry.name) ? [] : filesBelow(path)
  })
}
