import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { MillraceError } from '../../src/errors.ts'
import { hashSeed, resolveSeedPath } from '../../src/project/seeds.ts'

const model = { name: 'raw.airports', file: 'models/seeds/airports.sql', line: 4 }
let root: string

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'millrace-seeds-'))
  mkdirSync(join(root, 'seeds'))
  writeFileSync(join(root, 'seeds/airports.csv'), 'id\n1\n')
})
afterEach(() => rmSync(root, { recursive: true }))

async function failure(path: string): Promise<MillraceError> {
  return resolveSeedPath(path, model, root).then(
    () => expect.unreachable('the seed should be refused'),
    (error: unknown) => error as MillraceError,
  )
}

describe('resolveSeedPath', () => {
  it.each(['../../seeds/airports.csv', '$root/seeds/airports.csv'])('finds %s', async (path) => {
    expect(await resolveSeedPath(path, model, root)).toBe(join(root, 'seeds/airports.csv'))
  })

  it('finds an absolute path', async () => {
    const path = join(root, 'seeds/airports.csv')
    expect(await resolveSeedPath(path, model, root)).toBe(path)
  })

  it.each<[string, string, RegExp, RegExp]>([
    [
      'a missing file, with the nearest name',
      '$root/seeds/airport.csv',
      /expected a file .* there is none/,
      /'\$root\/seeds\/airports\.csv'/,
    ],
    ['a missing file, with where it was looked for', '../../seeds/other.csv', /there is none/, /seeds\/other\.csv/],
    ['a missing folder', '$root/sedes/airports.csv', /there is none/, /folder .*sedes is not there/],
    ['a folder', '../../seeds', /got a folder/, /CSV/],
  ])('refuses %s, at the model', async (_, path, message, hint) => {
    const error = await failure(path)
    expect(error).toMatchObject({ code: 'SEED', file: model.file, line: model.line })
    expect(error.message).toMatch(message)
    expect(error.message).toContain("seed 'raw.airports'")
    expect(error.hint).toMatch(hint)
  })

  it.each([
    ['', /empty file/],
    ['\nid\n1\n', /empty line/],
    ['\u{FEFF}\r\nid\n', /empty line/],
  ])('refuses a file without a first line of names: %j', async (content, message) => {
    writeFileSync(join(root, 'seeds/empty.csv'), content)
    expect((await failure('$root/seeds/empty.csv')).message).toMatch(message)
  })
})

describe('hashSeed', () => {
  it('is the SHA-256 of the content, whatever the name', async () => {
    const expected = createHash('sha256').update('id\n1\n').digest('hex')
    expect(await hashSeed(join(root, 'seeds/airports.csv'))).toBe(expected)
    writeFileSync(join(root, 'seeds/copy.csv'), 'id\n1\n')
    expect(await hashSeed(join(root, 'seeds/copy.csv'))).toBe(expected)
    writeFileSync(join(root, 'seeds/copy.csv'), 'id\n2\n')
    expect(await hashSeed(join(root, 'seeds/copy.csv'))).not.toBe(expected)
  })
})
