import { describe, expect, test } from 'vitest'
import { MillraceError } from '../../src/errors.ts'
import { createModelGraph } from '../../src/graph/model-graph.ts'
import type { Selection } from '../../src/graph/select.ts'
import { selectModels, type Facts } from '../../src/graph/select.ts'

//  raw.customers ─→ stg.customers ─┐
//   SEED             VIEW #daily   ├─→ core.orders ──────→ mart.revenue ─┐
//                                  │   INCREMENTAL_BY_     FULL #daily   ├─→ mart.board
//  raw.orders ────→ stg.orders ────┤   TIME_RANGE #daily                 │   VIEW #daily #Team-A
//   SEED             VIEW          └─→ core.returns ─────────────────────┘
//                                      INCREMENTAL_BY_UNIQUE_KEY #weekly
//  lone (FULL #weekly)                 mart.web.hits (FULL), reads an external only
const graph = createModelGraph([
  model('raw.customers', 'SEED', { file: 'models/raw/customers.sql' }),
  model('raw.orders', 'SEED', { file: 'models/raw/orders.sql' }),
  model('stg.customers', 'VIEW', {
    reads: ['raw.customers'],
    tags: ['daily'],
    file: 'models/staging/customers.sql',
  }),
  model('stg.orders', 'VIEW', { reads: ['raw.orders'], file: 'models/staging/orders.sql' }),
  model('core.orders', 'INCREMENTAL_BY_TIME_RANGE', {
    reads: ['stg.customers', 'stg.orders'],
    tags: ['daily'],
    file: 'models/core/facts/orders.sql',
  }),
  model('core.returns', 'INCREMENTAL_BY_UNIQUE_KEY', {
    reads: ['stg.customers', 'stg.orders'],
    tags: ['weekly'],
    file: 'models/core/facts/returns.sql',
  }),
  model('mart.revenue', 'FULL', { reads: ['core.orders'], tags: ['daily'], file: 'models/mart/revenue.sql' }),
  model('mart.board', 'VIEW', {
    reads: ['mart.revenue', 'core.returns'],
    tags: ['daily', 'Team-A'],
    file: 'models/mart/board.sql',
  }),
  model('mart.web.hits', 'FULL', { reads: ['log.hits'], file: 'models/mart/web[1]/hits+.sql' }),
  model('lone', 'FULL', { tags: ['weekly'], file: 'lone.sql' }),
])

function model(
  name: string,
  kind: string,
  { reads = [], tags = [], file }: { reads?: string[]; tags?: string[]; file: string },
) {
  return { name, kind: { name: kind }, tags, file, depends_on: reads }
}

const everything = [...graph.names]

describe('an expression selects', () => {
  test.each<[expression: string, expected: string]>([
    // names
    ['core.orders', 'core.orders'],
    ['CORE.Orders', 'core.orders'],
    ['lone', 'lone'],
    ['orders', 'core.orders raw.orders stg.orders'],
    ['revenue', 'mart.revenue'],
    ['hits', 'mart.web.hits'],
    ['stg.*', 'stg.customers stg.orders'],
    ['*.ORDERS', 'core.orders raw.orders stg.orders'],
    ['mart.*', 'mart.board mart.revenue mart.web.hits'],
    ['???.orders', 'raw.orders stg.orders'],
    ['[rs]*.orders', 'raw.orders stg.orders'],
    ['[!rs]*.orders', 'core.orders'],
    ['rev*', 'mart.revenue'],
    // ancestors and descendants
    ['+stg.orders', 'raw.orders stg.orders'],
    ['stg.customers+', 'core.orders core.returns mart.board mart.revenue stg.customers'],
    ['+core.orders+', 'core.orders mart.board mart.revenue raw.customers raw.orders stg.customers stg.orders'],
    ['1+core.orders', 'core.orders stg.customers stg.orders'],
    ['2+mart.revenue', 'core.orders mart.revenue stg.customers stg.orders'],
    ['raw.orders+1', 'raw.orders stg.orders'],
    ['1+core.orders+1', 'core.orders mart.revenue stg.customers stg.orders'],
    ['2+core.orders+3', 'core.orders mart.board mart.revenue raw.customers raw.orders stg.customers stg.orders'],
    ['0+core.orders+0', 'core.orders'],
    ['1+mart.*', 'core.orders core.returns mart.board mart.revenue mart.web.hits'],
    ['+lone+', 'lone'],
    [
      '@core.orders',
      'core.orders core.returns mart.board mart.revenue raw.customers raw.orders stg.customers stg.orders',
    ],
    ['@mart.web.hits', 'mart.web.hits'],
    // tags, kinds
    ['tag:weekly', 'core.returns lone'],
    ['tag:Team-?', 'mart.board'],
    ['tag:*ly', 'core.orders core.returns lone mart.board mart.revenue stg.customers'],
    ['+tag:weekly', 'core.returns lone raw.customers raw.orders stg.customers stg.orders'],
    ['tag:weekly+1', 'core.returns lone mart.board'],
    [
      '@tag:Team-A',
      'core.orders core.returns mart.board mart.revenue raw.customers raw.orders stg.customers stg.orders',
    ],
    ['kind:full', 'lone mart.revenue mart.web.hits'],
    ['Kind:View', 'mart.board stg.customers stg.orders'],
    ['kind:incremental*', 'core.orders core.returns'],
    ['kind:seed+1', 'raw.customers raw.orders stg.customers stg.orders'],
    // paths
    ['path:models/staging', 'stg.customers stg.orders'],
    ['path:./models/staging/', 'stg.customers stg.orders'],
    ['path:models/staging/orders.sql', 'stg.orders'],
    ['path:models/core', 'core.orders core.returns'],
    ['path:models/*/orders.sql', 'raw.orders stg.orders'],
    ['path:models/**/orders.sql', 'core.orders raw.orders stg.orders'],
    ['path:**/orders.sql', 'core.orders raw.orders stg.orders'],
    ['path:models/[rs]*', 'raw.customers raw.orders stg.customers stg.orders'],
    ['path:models/mart/web[1]', 'mart.web.hits'],
    ['path:models/mart/web[1]/hits+.sql', 'mart.web.hits'],
    ['path:*.sql', 'lone'],
    ['path:.', everything.join(' ')],
    ['path:models/staging+1', 'core.orders core.returns stg.customers stg.orders'],
    // union, intersection
    ['lone stg.orders', 'lone stg.orders'],
    ['  lone\n lone\t', 'lone'],
    ['tag:daily,kind:view', 'mart.board stg.customers'],
    ['+mart.revenue,stg.customers+', 'core.orders mart.revenue stg.customers'],
    ['tag:daily,kind:view,path:models/mart lone', 'lone mart.board'],
    ['lone tag:daily,kind:full stg.orders', 'lone mart.revenue stg.orders'],
    ['*', everything.join(' ')],
  ])('%s', (select, expected) => {
    expect([...selectModels(graph, { select })].sort()).toEqual(expected.split(' ').sort())
  })

  test('in the order of the graph, whatever the order of the terms', () => {
    expect([...selectModels(graph, { select: 'mart.board raw.orders core.orders' })]).toEqual([
      'raw.orders',
      'core.orders',
      'mart.board',
    ])
  })

  test('a whole name before the last parts of others', () => {
    const names = ['a.x', 'x', 'b.x']
    const twins = createModelGraph(names.map((name) => model(name, 'FULL', { file: `${name}.sql` })))
    expect([...selectModels(twins, { select: 'x' })]).toEqual(['x'])
    expect([...selectModels(twins, { select: '*.x' })]).toEqual(['a.x', 'b.x'])
  })
})

describe('without select or with exclude', () => {
  test.each<[selection: Selection, expected: string]>([
    [{}, everything.join(' ')],
    [{ select: null, exclude: null }, everything.join(' ')],
    [{ exclude: 'path:models' }, 'lone'],
    [{ exclude: 'tag:daily mart.web.hits raw.*' }, 'core.returns lone stg.orders'],
    [{ select: '+mart.revenue', exclude: 'kind:seed' }, 'core.orders mart.revenue stg.customers stg.orders'],
    [{ select: 'stg.*', exclude: 'tag:daily,kind:view' }, 'stg.orders'],
    [{ select: 'lone', exclude: 'stg.orders+' }, 'lone'],
  ])('%j', (selection, expected) => {
    expect([...selectModels(graph, selection)].sort()).toEqual(expected.split(' ').sort())
  })

  test('an empty project selects nothing, without an error', () => {
    expect(selectModels(createModelGraph([]), {})).toEqual(new Set())
  })
})

describe('what the database knows', () => {
  const facts = { modified: new Set(['stg.orders', 'lone']), failed: new Set(['core.orders']) }

  test('selects models by it, with the same marks as by name', () => {
    const select = (text: string, exclude?: string): string[] =>
      [...selectModels(graph, { select: text, ...(exclude === undefined ? {} : { exclude }) }, facts)].sort()
    expect(select('state:modified')).toEqual(['lone', 'stg.orders'])
    expect(select('STATE:Modified')).toEqual(['lone', 'stg.orders'])
    const below = [...selectModels(graph, { select: 'stg.orders+ lone' })].sort()
    expect(select('state:modified+')).toEqual(below)
    expect(select('1+result:failed')).toEqual([...selectModels(graph, { select: '1+core.orders' })].sort())
    expect(select('state:modified+,result:failed')).toEqual(['core.orders'])
    expect(select('state:modified', 'lone')).toEqual(['stg.orders'])
  })

  test('the rest of an expression is checked before it is asked; then only what is selected in any case is named', () => {
    const later = (selection: Selection): string[] => [...selectModels(graph, selection, 'later')]
    expect(later({ select: 'lone state:modified+' })).toEqual(['lone'])
    expect(later({ select: 'lone,result:failed' })).toEqual([])
    expect(later({ select: 'state:modified', exclude: 'lone' })).toEqual([])
    expect(later({ exclude: 'state:modified' })).toEqual([])
    expect(() => later({ select: 'state:modified tag:dayly' })).toThrow("'tag:dayly' in select")
    expect(() => later({ select: 'state:modified,stg.order' })).toThrow("'stg.order' in select")
  })
})

describe('an error', () => {
  function errorOf(selection: Selection, facts: Facts = null): MillraceError {
    try {
      selectModels(graph, selection, facts)
    } catch (error) {
      if (error instanceof MillraceError) return error
      throw error
    }
    throw new Error('it was accepted')
  }

  test.each<[select: string, term: string, hint: string]>([
    ['stg.order', "'stg.order'", "Did you mean 'stg.orders'?"],
    ['revenu', "'revenu'", "Did you mean 'revenue'?"],
    ['lone +stg.order+2', "'+stg.order+2'", "Did you mean 'stg.orders'?"],
    ['web.hits', "'web.hits'", 'Known names: core.orders, core.returns,'],
    ['x*', "'x*'", 'Known names: core.orders, core.returns,'],
    ['tag:dayly', "'tag:dayly'", "Did you mean 'daily'?"],
    ['tag:DAILY', "'tag:DAILY'", "Did you mean 'daily'?"],
    ['tag:hourly_x', "'tag:hourly_x'", 'Known tags: Team-A, daily, weekly.'],
    ['kind:ful', "'kind:ful'", "Did you mean 'FULL'?"],
    ['kind:embedded', "'kind:embedded'", 'Known kinds: FULL, INCREMENTAL_BY_TIME_RANGE,'],
    ['path:model/staging', "'path:model/staging'", "Did you mean 'models/staging'?"],
    ['path:models/stagin', "'path:models/stagin'", "Did you mean 'models/staging'?"],
    ['path:/models', "'path:/models'", "Did you mean 'models'?"],
    ['lone,tag:dayly', "'tag:dayly'", "Did you mean 'daily'?"],
  ])('names the term that matches nothing: %s', (select, term, hint) => {
    const error = errorOf({ select })
    expect(error.code).toBe('SELECTION')
    expect(error.message).toContain(`${term} in select`)
    expect(error.hint).toContain(hint)
  })

  test('names the intersection when each of its terms matches something', () => {
    const error = errorOf({ select: 'lone tag:weekly,kind:view' })
    expect(error.code).toBe('SELECTION')
    expect(error.message).toContain("'tag:weekly,kind:view' in select")
  })

  test.each(['tga:daily', 'config.materialized:view', 'fqn:stg.orders', 'c:/models'])(
    'lists the methods for an unknown one: %s',
    (select) => {
      const error = errorOf({ select })
      expect(error.code).toBe('SELECTION')
      expect(error.message).toContain('tag:, kind:, path:')
      expect(error.message).toContain(`'${select}'`)
    },
  )

  test('suggests the nearest method', () => {
    expect(errorOf({ select: 'tagg:daily' }).hint).toBe("Did you mean 'tag:'?")
  })

  test.each(['state:modified', '+state:modified+', 'lone Result:failed+'])(
    'says of %s that only the database knows it, where none is asked',
    (select) => {
      expect(errorOf({ select })).toMatchObject({ code: 'SELECTION', hint: expect.stringContaining('plan or build') })
      expect(errorOf({ exclude: select }).hint).toContain('plan or build')
    },
  )

  test.each([
    ['state:modifed', 'Known states: modified.'],
    ['state:*', 'Known states: modified.'],
    ['result:error+', 'Known results: failed.'],
  ])('lists what can be asked of the database: %s', (select, hint) => {
    expect(errorOf({ select })).toMatchObject({ code: 'SELECTION', hint })
    expect(errorOf({ select }, 'later')).toMatchObject({ code: 'SELECTION', hint })
  })

  test('says that nothing is modified, and that nothing failed', () => {
    const facts = { modified: new Set<string>(), failed: new Set<string>() }
    expect(errorOf({ select: 'state:modified+' }, facts)).toMatchObject({
      code: 'SELECTION',
      message: expect.stringContaining("'state:modified+' in select"),
      hint: 'Every model is as the environment has it.',
    })
    expect(errorOf({ exclude: 'result:failed' }, facts).hint).toContain('No model failed')
  })

  test.each(['', '  ', '+', '@', '2+', '++lone', 'lone++', '@lone+', '@+lone', '+@lone', '@@lone', 'tag:', '+path:+'])(
    "says that '%s' cannot be read",
    (select) => {
      expect(errorOf({ select })).toMatchObject({ code: 'SELECTION', hint: expect.any(String) })
    },
  )

  test.each(['lone,', ',lone', 'lone,,lone', 'lone, lone', ',', 'stg.[z-a]'])(
    "refuses '%s' as unreadable",
    (select) => {
      const error = errorOf({ select })
      expect(error.code).toBe('SELECTION')
      expect(error.message).toContain('selection grammar')
    },
  )

  test('exclude is held to the same rules', () => {
    expect(errorOf({ exclude: 'tag:dayly' }).message).toContain("'tag:dayly' in exclude")
    expect(errorOf({ exclude: 'tag:weekly,kind:view' }).message).toContain("'tag:weekly,kind:view' in exclude")
    expect(errorOf({ exclude: ' ' }).code).toBe('SELECTION')
    expect(errorOf({ exclude: 'tga:daily' }).code).toBe('SELECTION')
  })

  test('says that nothing is left when all is excluded', () => {
    expect(errorOf({ select: 'stg.*', exclude: 'kind:view' })).toMatchObject({
      code: 'SELECTION',
      message: expect.stringContaining("exclude 'kind:view' takes away 'stg.*'"),
    })
    expect(errorOf({ exclude: '*' }).message).toContain('takes away all models')
  })
})

test('a selection in a graph of 10,000 models, 2,000 layers deep, is evaluated', () => {
  //  chain0.m0 ─→ chain0.m1 ─→ … chain0.m1999      (five chains)
  const nodes = Array.from({ length: 10_000 }, (_, index) => {
    const chain = index % 5
    const at = Math.floor(index / 5)
    return model(`chain${chain}.m${at}`, 'FULL', {
      reads: at === 0 ? [] : [`chain${chain}.m${at - 1}`],
      file: `models/chain${chain}/m${at}.sql`,
    })
  })
  const deep = createModelGraph(nodes)
  expect(selectModels(deep, { select: '@path:models/chain1', exclude: 'chain?.m0+9' }).size).toBe(1_990)
})
