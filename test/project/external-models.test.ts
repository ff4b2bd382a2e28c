import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ProjectError, type MillraceError } from '../../src/errors.ts'
import { loadExternalModels } from '../../src/project/external-models.ts'

let root: string

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'millrace-external-'))
})
afterEach(() => rmSync(root, { recursive: true }))

function write(path: string, content: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), content)
}

async function problems(): Promise<readonly MillraceError[]> {
  return loadExternalModels(root).then(
    () => expect.unreachable('the files should be refused'),
    (error: unknown) => (error instanceof ProjectError ? error.problems : [error as MillraceError]),
  )
}

describe('loadExternalModels', () => {
  it('is empty without files and for files that say nothing', async () => {
    expect(await loadExternalModels(root)).toEqual([])
    write('external_models.yaml', '# nothing yet\n')
    expect(await loadExternalModels(root)).toEqual([])
  })

  it('reads the file and the folder, names and columns in lower case', async () => {
    write(
      'external_models.yaml',
      `- name: RAW.Orders
  description: from the shop
  gateway: Local
  columns:
    ID: BIGINT
    Price: DECIMAL(10, 2)
  tags: [shop]
- name: '"Other DB"."s"."T"'
`,
    )
    write('external_models/deep/more.yaml', '\n- name: plain\n')
    expect(await loadExternalModels(root)).toEqual([
      {
        name: 'raw.orders',
        columns: { id: 'BIGINT', price: 'DECIMAL(10, 2)' },
        description: 'from the shop',
        gateway: 'local',
        file: 'external_models.yaml',
        line: 1,
      },
      { name: 'other db.s.t', columns: null, description: null, gateway: null, file: 'external_models.yaml', line: 8 },
      {
        name: 'plain',
        columns: null,
        description: null,
        gateway: null,
        file: 'external_models/deep/more.yaml',
        line: 2,
      },
    ])
  })

  it('reads the old schema.yaml only where there is no external_models.yaml', async () => {
    write('schema.yaml', '- name: old\n')
    expect((await loadExternalModels(root)).map(({ name }) => name)).toEqual(['old'])
    write('external_models.yaml', '- name: new\n')
    expect((await loadExternalModels(root)).map(({ name }) => name)).toEqual(['new'])
  })

  it('takes one name for several gateways', async () => {
    write('external_models.yaml', '- {name: a.b}\n- {name: a.b, gateway: x}\n- {name: a.b, gateway: y}\n')
    expect(await loadExternalModels(root)).toHaveLength(3)
  })

  it('reports every problem of every file at once, with its line', async () => {
    write(
      'external_models.yaml',
      `- name: raw.a
  colums: {id: INT}
- description: nameless
- name: 'select 1'
- name: raw.b
  columns: {id: 3}
- name: raw.c
  dialect: snowflake
- raw.d
`,
    )
    write('external_models/x.yaml', '- name: a.b\n- name: A.b\n')
    write('external_models/y.yaml', '- name: a.c\n  columns: {id: [\n')
    write('external_models/z.yaml', 'name: a.b\n')
    const found = (await problems()).map(({ code, file, line }) => `${code} ${file}:${line}`)
    expect(found.sort()).toEqual([
      'DIALECT external_models.yaml:8',
      'DUPLICATE_MODEL external_models/x.yaml:2',
      'MODEL external_models.yaml:2',
      'MODEL external_models.yaml:3',
      'MODEL external_models.yaml:4',
      'MODEL external_models.yaml:6',
      'MODEL external_models.yaml:9',
      expect.stringMatching(/MODEL external_models\/y\.yaml:[23]/),
      'MODEL external_models/z.yaml:1',
    ])
  })

  it('suggests the property that was meant', async () => {
    write('external_models.yaml', '- name: raw.a\n  colums: {id: INT}\n')
    expect((await problems())[0]).toMatchObject({ hint: expect.stringContaining("Did you mean 'columns'?") })
  })
})
