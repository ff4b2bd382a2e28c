import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { seedColumnsQuery, seedQuery, type SeedColumn } from '../../src/sql/seed.ts'
import type { CsvSettings } from '../../src/sql/seed-settings.ts'

let folder: string
let instance: DuckDBInstance
let connection: DuckDBConnection

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-seed-'))
  instance = await DuckDBInstance.create(':memory:')
  connection = await instance.connect()
})

afterAll(() => {
  connection.closeSync()
  instance.closeSync()
  rmSync(folder, { recursive: true })
})

interface Read {
  columns: string[]
  rows: unknown[][]
}

async function run(sql: string): Promise<Read> {
  const reader = await connection.runAndReadAll(sql)
  const types = reader.columnTypes()
  return { columns: reader.columnNames().map((name, at) => `${name} ${String(types[at])}`), rows: reader.getRowsJson() }
}

async function readFile(path: string, settings?: CsvSettings, declared?: Record<string, string>): Promise<Read> {
  const columns: SeedColumn[] =
    declared === undefined
      ? ((
          await connection.runAndReadAll(seedColumnsQuery(path, settings))
        ).getRowObjectsJson() as unknown as SeedColumn[])
      : Object.entries(declared).map(([name, type]) => ({ name, type }))
  return run(seedQuery(path, settings, columns))
}

async function read(csv: string | Buffer, settings?: CsvSettings, declared?: Record<string, string>): Promise<Read> {
  const path = join(folder, 'seed.csv')
  writeFileSync(path, csv)
  return readFile(path, settings, declared)
}

describe('the seeds of the project with every kind', () => {
  const oracle = resolve(import.meta.dirname, '../oracles/kinds')
  const [day] = JSON.parse(readFileSync(join(oracle, 'expected.json'), 'utf8')) as [
    { expected: Record<string, { columns: string[]; rows: (string | null)[][] }> },
  ]
  const declared = { id: 'INT', name: 'TEXT', d: 'DATE', flag: 'BOOLEAN', amt: 'DOUBLE' }

  it.each([
    ['seed_dim', declared],
    ['seed_infer', undefined],
  ])('%s has the types and rows that SQLMesh gives it', async (model, columns) => {
    const got = await readFile(join(oracle, 'seeds/dim.csv'), undefined, columns)
    const expected = day.expected[model]!
    expect(got.columns).toEqual(expected.columns)
    // The oracle spells values as Python does: 3.0 and True.
    const spelled = got.rows.map((row) =>
      row.map((value, at) => {
        if (value === true) return 'True'
        if (value === false) return 'False'
        if (typeof value !== 'number') return value
        return expected.columns[at]!.endsWith('DOUBLE') && Number.isInteger(value) ? `${value}.0` : `${value}`
      }),
    )
    expect(spelled).toEqual(expected.rows)
  })
})

/** Each was read by SQLMesh with pandas 2.3; what it found is what stands here. */
describe('types are found as pandas finds them', () => {
  it.each<[string, string, string[], unknown[][]]>([
    [
      'whole numbers, signed and spaced',
      'a,b\n+1, 7 \n-2,8\n',
      ['a BIGINT', 'b BIGINT'],
      [
        ['1', '7'],
        ['-2', '8'],
      ],
    ],
    ['whole numbers with leading zeros', 'zip\n01234\n00001\n', ['zip BIGINT'], [['1234'], ['1']]],
    [
      'whole numbers with gaps',
      'a,b\n1,x\n,y\n3,NA\n',
      ['a DOUBLE', 'b VARCHAR'],
      [
        [1, 'x'],
        [null, 'y'],
        [3, null],
      ],
    ],
    ['whole numbers beyond 64 bits', 'a\n99999999999999999999\n1\n', ['a VARCHAR'], [['99999999999999999999'], ['1']]],
    [
      'fractions',
      'a,b,c\n1.5,1e5,.5\n2,-2E-3,1.\n',
      ['a DOUBLE', 'b DOUBLE', 'c DOUBLE'],
      [
        [1.5, 100000, 0.5],
        [2, -0.002, 1],
      ],
    ],
    ['infinity', 'a\ninf\n-Infinity\n', ['a DOUBLE'], [['Infinity'], ['-Infinity']]],
    ['true and false in three spellings', 'a\nTrue\nFALSE\ntrue\n', ['a BOOLEAN'], [[true], [false], [true]]],
    [
      'true and false with gaps',
      'a,b\nTrue,1\n,2\nFALSE,3\n',
      ['a VARCHAR', 'b BIGINT'],
      [
        ['true', '1'],
        [null, '2'],
        ['false', '3'],
      ],
    ],
    ['zeros and ones', 'a\n1\n0\n', ['a BIGINT'], [['1'], ['0']]],
    ['t and f', 'a\nt\nf\n', ['a VARCHAR'], [['t'], ['f']]],
    [
      'dates',
      'd,t\n2024-01-01,2024-01-01 10:00:00\n',
      ['d VARCHAR', 't VARCHAR'],
      [['2024-01-01', '2024-01-01 10:00:00']],
    ],
    [
      'nothing but gaps',
      'a,b\nNA,\nnull,n/a\n',
      ['a DOUBLE', 'b DOUBLE'],
      [
        [null, null],
        [null, null],
      ],
    ],
    ['no rows', 'a,b\n', ['a VARCHAR', 'b VARCHAR'], []],
    [
      'units and separators',
      'a,b,c\n1%,$1,"1,000"\n',
      ['a VARCHAR', 'b VARCHAR', 'c VARCHAR'],
      [['1%', '$1', '1,000']],
    ],
    ['hexadecimal and underscores', 'a,b\n1_000,0x10\n', ['a VARCHAR', 'b VARCHAR'], [['1_000', '0x10']]],
    [
      'names in any case',
      'Id,Full Name,2020\n1,x,5\n',
      ['id BIGINT', 'full name VARCHAR', '2020 BIGINT'],
      [['1', 'x', '5']],
    ],
  ])('%s', async (_, csv, columns, rows) => {
    expect(await read(csv)).toEqual({ columns, rows })
  })

  it('decides over all rows, not over a sample', async () => {
    const csv = `a\n${'1\n'.repeat(30_000)}x\n`
    expect((await read(csv)).columns).toEqual(['a VARCHAR'])
  })
})

describe('missing values', () => {
  it('are the texts that pandas takes for them, and no others', async () => {
    const csv = 'a,b\nx,1\nNULL,1\nNone,1\n#N/A,1\n<NA>,1\nnan,1\n"",1\nnil,1\n-,1\n NA,1\n'
    const { rows } = await read(csv)
    expect(rows.map(([a]) => a)).toEqual(['x', null, null, null, null, null, null, 'nil', '-', ' NA'])
  })

  it.each<[string, CsvSettings, unknown[][]]>([
    [
      'stay text with keep_default_na false',
      { keep_default_na: false },
      [
        ['1', 'NA'],
        ['', '-'],
      ],
    ],
    [
      'are named by na_values',
      { na_values: '-' },
      [
        [1, null],
        [null, null],
      ],
    ],
    [
      'are named by SQL text in na_values',
      { na_values: "'-'" },
      [
        [1, null],
        [null, null],
      ],
    ],
    [
      'are named by a list in na_values',
      { na_values: "('-', 1)" },
      [
        [null, null],
        [null, null],
      ],
    ],
    [
      'are only those named, with both',
      { keep_default_na: 'false', na_values: "['-']" },
      [
        ['1', 'NA'],
        ['', null],
      ],
    ],
    [
      'are named for single columns',
      { na_values: "(b = ('-'), a = (1))" },
      [
        [null, null],
        [null, null],
      ],
    ],
  ])('%s', async (_, settings, rows) => {
    expect((await read('a,b\n1,NA\n,-\n', settings)).rows).toEqual(rows)
  })

  it('are NULL in declared columns too', async () => {
    expect((await read('id,name\n1,NA\n2,b\n', {}, { id: 'INT', name: 'TEXT' })).rows).toEqual([
      [1, null],
      [2, 'b'],
    ])
  })
})

describe('the shape of the file', () => {
  it.each<[string, string, CsvSettings, unknown[][]]>([
    ['delimiter', 'a;b\n1;"x;y"\n', { delimiter: ';' }, [['1', 'x;y']]],
    ['delimiter as an escape', 'a\tb\n1\tx\n', { delimiter: '\\t' }, [['1', 'x']]],
    ['quotechar', "a,b\n1,'x,''y'''\n", { quotechar: "'" }, [['1', "x,'y'"]]],
    ['escapechar', 'a,b\n1,"x\\"y"\n', { escapechar: '\\', doublequote: false }, [['1', 'x"y']]],
    [
      'skipinitialspace',
      'a, b\n1, "x, y"\n2,  NA\n',
      { skipinitialspace: true },
      [
        ['1', 'x, y'],
        ['2', null],
      ],
    ],
    ['spaces are kept without it', 'a,b\n1,  z\n', {}, [['1', '  z']]],
    [
      'lineterminator',
      'a,b\r1,x\r2,y\r',
      { lineterminator: '\\r' },
      [
        ['1', 'x'],
        ['2', 'y'],
      ],
    ],
    [
      'line ends within quotes',
      'a,b\r\n1,"x\r\ny"\r\n2,z\r\n',
      {},
      [
        ['1', 'x\ny'],
        ['2', 'z'],
      ],
    ],
    ['a byte order mark', '\u{FEFF}a,b\n1,x\n', {}, [['1', 'x']]],
    [
      'short rows',
      'a,b\n1\n2,x\n',
      {},
      [
        ['1', null],
        ['2', 'x'],
      ],
    ],
    [
      'blank lines',
      'a,b\n1,x\n\n2,y\n\n',
      {},
      [
        ['1', 'x'],
        ['2', 'y'],
      ],
    ],
    ['blank lines in a file of one column', 'a\n1\n\n2\n \n', {}, [['1'], ['2']]],
    [
      'lines that look like comments',
      'a,b\n1,#x\n2,//\n',
      {},
      [
        ['1', '#x'],
        ['2', '//'],
      ],
    ],
  ])('%s', async (_, csv, settings, rows) => {
    expect((await read(csv, settings)).rows).toEqual(rows)
  })

  it('encoding takes the names that Python knows', async () => {
    expect((await read(Buffer.from('a,b\n1,café\n', 'latin1'), { encoding: 'ISO-8859-1' })).rows).toEqual([
      ['1', 'café'],
    ])
  })

  it.each([
    [{ lineterminator: ';' }, /lineterminator .* got ';'/],
    [{ quotechar: "''" }, /quotechar to be one character/],
    [{ doublequote: 'perhaps' }, /doublequote to be true or false, got 'perhaps'/],
  ])('a setting that cannot be followed is an error: %j', (settings, message) => {
    expect(() => seedQuery('/x.csv', settings, [])).toThrow(message)
  })

  it('reads a path of special characters as that path, and no folder as a column', async () => {
    const inner = join(folder, "it's [x]", 'k=v')
    mkdirSync(inner, { recursive: true })
    const path = join(inner, 'a*.csv')
    writeFileSync(path, 'a\n1\n')
    expect(await readFile(path)).toEqual({ columns: ['a BIGINT'], rows: [['1']] })
  })

  it('a row with more cells than the first line is an error', async () => {
    await expect(read('a,b\n1,2\n2,3,4\n')).rejects.toThrow(/seed\.csv/)
  })
})

describe('declared columns', () => {
  it('come in the declared order and leave the others out', async () => {
    const got = await read('id,name,extra\n1,x,q\n', {}, { name: 'TEXT', id: 'INT' })
    expect(got).toEqual({ columns: ['name VARCHAR', 'id INTEGER'], rows: [['x', 1]] })
  })

  it('keep text as written, leading zeros included', async () => {
    expect((await read('zip,n\n007,1\n,2\n', {}, { zip: 'VARCHAR' })).rows).toEqual([['007'], [null]])
  })

  it('read booleans from true, false, 1 and 0 in any case', async () => {
    const { rows } = await read('f,n\ntRue,1\nFALSE,2\n1,3\n0,4\n,5\nyes,6\n', {}, { f: 'BOOLEAN' })
    expect(rows.flat()).toEqual([true, false, true, false, null, true])
  })

  it('read dates and timestamps in ISO and American spelling', async () => {
    const csv = 'd,t\n2024-01-02,2024-01-02T03:04:05Z\n1/3/2024,1/3/2024 10:00\n,\n'
    expect((await read(csv, {}, { d: 'DATE', t: 'TIMESTAMP' })).rows).toEqual([
      ['2024-01-02', '2024-01-02 03:04:05'],
      ['2024-01-03', '2024-01-03 10:00:00'],
      [null, null],
    ])
  })

  it.each([
    ['d\n13/01/2024\n', { d: 'DATE' }, /13\/01\/2024/],
    ['d\nmaybe\n', { d: 'BOOLEAN' }, /maybe/],
    ['d\nx\n', { d: 'INT' }, /'x' to INT32/],
    ['d\n1\n', { d: 'INT', z: 'INT' }, /does not have a column named "z"/],
  ])('%j as %j is an error that names what is wrong', async (csv, columns, message) => {
    await expect(read(csv, {}, columns)).rejects.toThrow(message)
  })
})
