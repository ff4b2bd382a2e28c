import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync, chmodSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { MillraceError } from '../../src/errors.ts'
import { listFiles, readText } from '../../src/project/read-file.ts'

let root: string

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'millrace-read-'))
  chmodSync(root, 0o755)
})
afterEach(() => rmSync(root, { recursive: true }))

function write(path: string, content: string | Buffer = ''): void {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), content)
}

async function failure(path: string): Promise<MillraceError> {
  return readText(root, path).then(
    () => expect.unreachable('it should not be readable'),
    (error: unknown) => error as MillraceError,
  )
}

describe('readText', () => {
  it('gives the text without its byte order mark', async () => {
    write('models/a.sql', '\u{FEFF}SELECT ‘é’ 🦆\n')
    expect(await readText(root, 'models/a.sql')).toBe('SELECT ‘é’ 🦆\n')
  })

  it.each<[string, Buffer, number, number]>([
    ['a byte that starts nothing', Buffer.from([0x61, 0x0a, 0x62, 0xff, 0x63]), 3, 2],
    ['a sequence that is broken off by text', Buffer.from([0x0a, 0x0a, 0xc3, 0x28]), 2, 3],
    ['a sequence that the end cuts', Buffer.from([0x61, 0xe2, 0x82]), 1, 1],
    ['Latin-1 after correct text', Buffer.concat([Buffer.from('é\n'), Buffer.from('caf\xe9\n', 'latin1')]), 6, 2],
  ])('names byte and line of invalid UTF-8: %s', async (_, bytes, offset, line) => {
    write('models/a.sql', bytes)
    const error = await failure('models/a.sql')
    expect(error).toMatchObject({ code: 'FILE', file: 'models/a.sql', line })
    expect(error.message).toMatch(new RegExp(`invalid UTF-8 at byte ${offset}$`))
    expect(error.hint).toContain('UTF-8')
  })

  it.each<[string, () => void, RegExp]>([
    ['a missing file', () => {}, /no such file/],
    ['a dangling link', () => symlinkSync('nowhere', join(root, 'a.sql')), /leads nowhere/],
    ['a link to itself', () => symlinkSync('a.sql', join(root, 'a.sql')), /leads to itself/],
    ['a folder', () => mkdirSync(join(root, 'a.sql')), /a folder/],
  ])('refuses %s with file, line and what to do', async (_, prepare, message) => {
    prepare()
    const error = await failure('a.sql')
    expect(error).toMatchObject({ code: 'FILE', file: 'a.sql', line: 1 })
    expect(error.message).toMatch(message)
    expect(error.hint).toBeTruthy()
  })

  it('refuses a file without permission', async () => {
    write('a.sql')
    chmodSync(join(root, 'a.sql'), 0)
    // Root may read everything, so the test is somebody else meanwhile.
    const isRoot = process.geteuid?.() === 0
    if (isRoot) process.seteuid?.(65_534)
    const error = await failure('a.sql').finally(() => isRoot && process.seteuid?.(0))
    expect(error).toMatchObject({ code: 'FILE', file: 'a.sql' })
    expect(error.message).toMatch(/permission denied/)
  })
})

describe('listFiles', () => {
  it('lists what has the extension, in all folders, sorted, with slashes', async () => {
    for (const path of ['models/b.sql', 'models/x/a.sql', 'models/a.sql', 'models/a.txt', 'other/c.sql']) write(path)
    expect(await listFiles(root, 'models', '.sql')).toEqual(['models/a.sql', 'models/b.sql', 'models/x/a.sql'])
  })

  it('has nothing for a folder that is not there', async () => {
    const problems: MillraceError[] = []
    expect(await listFiles(root, 'models', '.sql', [], (problem) => problems.push(problem))).toEqual([])
    expect(problems).toEqual([])
  })

  it('follows links, and ends where they go in circles', async () => {
    write('shared/one.sql')
    write('models/a.sql')
    mkdirSync(join(root, 'models/deep'))
    symlinkSync('../shared', join(root, 'models/linked'))
    symlinkSync('..', join(root, 'models/deep/up'))
    symlinkSync('../shared/one.sql', join(root, 'models/link.sql'))
    const problems: MillraceError[] = []
    const files = await listFiles(root, 'models', '.sql', [], (problem) => problems.push(problem))
    expect(files).toEqual(['models/a.sql', 'models/link.sql', 'models/linked/one.sql'])
    expect(problems).toEqual([])
  })

  it('reports a folder of such a name and a dangling link, and goes on', async () => {
    write('models/good.sql')
    mkdirSync(join(root, 'models/x.sql'))
    symlinkSync('nowhere', join(root, 'models/gone.sql'))
    const problems: MillraceError[] = []
    expect(await listFiles(root, 'models', '.sql', [], (problem) => problems.push(problem))).toEqual([
      'models/good.sql',
    ])
    const found = problems.map(({ code, file, line, message }) => ({ code, file, line, message }))
    expect(found.sort((a, b) => a.file!.localeCompare(b.file!))).toEqual([
      { code: 'FILE', file: 'models/gone.sql', line: 1, message: expect.stringContaining('leads nowhere') },
      { code: 'FILE', file: 'models/x.sql', line: 1, message: expect.stringContaining('got a folder') },
    ])
  })

  it('reports a file where the folder should be', async () => {
    write('models', 'x')
    const problems: MillraceError[] = []
    expect(await listFiles(root, 'models', '.sql', [], (problem) => problems.push(problem))).toEqual([])
    expect(problems).toMatchObject([{ code: 'FILE', file: 'models' }])
  })

  it.each([
    ['models/x/*', ['models/a.sql', 'models/x_tmp.sql']],
    ['*_tmp.sql', ['models/a.sql', 'models/x/b.sql', 'models/x/y/c.sql']],
    ['models/**/c.sql', ['models/a.sql', 'models/x/b.sql', 'models/x_tmp.sql']],
    ['models/**', []],
    ['models/[ab].sql', ['models/x/b.sql', 'models/x/y/c.sql', 'models/x_tmp.sql']],
    ['models/?.sql', ['models/x/b.sql', 'models/x/y/c.sql', 'models/x_tmp.sql']],
    ['x/y', ['models/a.sql', 'models/x/b.sql', 'models/x_tmp.sql']],
    ['/x', ['models/a.sql', 'models/x/b.sql', 'models/x/y/c.sql', 'models/x_tmp.sql']],
    ['a+sql', ['models/a.sql', 'models/x/b.sql', 'models/x/y/c.sql', 'models/x_tmp.sql']],
  ])('leaves out %s', async (pattern, files) => {
    for (const path of ['models/a.sql', 'models/x/b.sql', 'models/x/y/c.sql', 'models/x_tmp.sql']) write(path)
    expect(await listFiles(root, 'models', '.sql', [pattern])).toEqual(files)
  })
})
