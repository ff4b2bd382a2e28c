/**
 * The workload of the benchmark: a layered graph of small models, the same for every size and seed on every machine.
 * Ten layers; the first one (10 % of the models) reads nothing, every other model reads one to three earlier models.
 * Every table has a unique `id` and between 100 and 1000 rows, and only integers: sums do not depend on the order of rows.
 */

export interface BenchModel {
  name: string
  /** Names of earlier models. */
  parents: readonly string[]
  /** The query, with its parents written as `relation` says. */
  query: (relation: (parent: string) => string) => string
}

export interface Workload {
  /** The schema of every model. */
  schema: string
  /** In an order in which parents come first. */
  models: readonly BenchModel[]
}

const layers = 10

/** `size` models; the same `seed` gives the same models. */
export function generateWorkload(size: number, seed = 20_240_101): Workload {
  const random = createRandom(seed)
  const layerOf = (index: number): number => Math.floor((index * layers) / size)
  const names = Array.from({ length: size }, (_, index) => `m${String(index + 1).padStart(4, '0')}`)
  const models = names.map((name, index) => {
    const layer = layerOf(index)
    if (layer === 0) return sourceModel(name, random)
    const earlier = names.filter((_, other) => layerOf(other) < layer)
    // One parent from the layer right before: the graph is as deep as it has layers.
    const previous = names.filter((_, other) => layerOf(other) === layer - 1)
    const parents = new Set([pick(previous.length > 0 ? previous : earlier, random)])
    const wanted = Math.min(1 + integer(3, random), earlier.length)
    while (parents.size < wanted) parents.add(pick(earlier, random))
    return derivedModel(name, [...parents], random)
  })
  return { schema: 'bench', models }
}

function sourceModel(name: string, random: Random): BenchModel {
  const rows = 100 + integer(901, random)
  const [groups, factor, offset] = [5 + integer(20, random), 3 + integer(200, random), integer(1000, random)]
  return {
    name,
    parents: [],
    query: () =>
      [
        'SELECT',
        '  CAST(i AS BIGINT) AS id,',
        `  CAST(i % ${groups} AS BIGINT) AS grp,`,
        `  CAST((i * ${factor} + ${offset}) % 1000 AS BIGINT) AS amount`,
        `FROM range(${rows}) AS numbers(i)`,
      ].join('\n'),
  }
}

function derivedModel(name: string, parents: readonly string[], random: Random): BenchModel {
  const constant = 1 + integer(50, random)
  const shapes = parents.length === 1 ? [shift, regroup] : parents.length === 2 ? [join, stack] : [joinTotals, stack]
  const shape = pick(shapes, random)
  return { name, parents, query: (relation) => shape(parents.map(relation), constant) }
}

type Shape = (relations: readonly string[], constant: number) => string

const shift: Shape = ([only], constant) => `SELECT
  id,
  CAST((grp + ${constant}) % 25 AS BIGINT) AS grp,
  CAST((amount * 3 + ${constant} + ROW_NUMBER() OVER (PARTITION BY grp ORDER BY amount, id)) % 1000 AS BIGINT) AS amount
FROM ${only}
WHERE amount >= 0`

const regroup: Shape = ([only], constant) => `SELECT
  CAST(id % ${100 + constant} AS BIGINT) AS id,
  CAST(MIN(grp) AS BIGINT) AS grp,
  CAST(SUM(amount + ${constant}) % 1000 AS BIGINT) AS amount
FROM ${only}
GROUP BY id % ${100 + constant}`

const join: Shape = ([first, second], constant) => `SELECT
  a.id,
  b.grp,
  CAST((a.amount + b.amount * ${constant}) % 1000 AS BIGINT) AS amount
FROM ${first} AS a
JOIN ${second} AS b ON b.id = a.id`

const joinTotals: Shape = ([first, second, third], constant) => `WITH totals AS (
  SELECT grp, SUM(amount) AS total
  FROM ${third}
  GROUP BY grp
)
SELECT
  a.id,
  b.grp,
  CAST((a.amount + b.amount + COALESCE(t.total, ${constant})) % 1000 AS BIGINT) AS amount
FROM ${first} AS a
JOIN ${second} AS b ON b.id = a.id
LEFT JOIN totals AS t ON t.grp = a.grp`

const stack: Shape = (relations, constant) => `SELECT
  id,
  CAST(MAX(grp) AS BIGINT) AS grp,
  CAST((SUM(amount) + ${constant}) % 1000 AS BIGINT) AS amount
FROM (
${relations.map((relation) => `  SELECT id, grp, amount FROM ${relation}`).join('\n  UNION ALL\n')}
) AS stacked
GROUP BY id`

type Random = () => number

/** mulberry32: 32 bits of state are plenty for a few thousand choices. */
function createRandom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d_2b_79_f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function integer(below: number, random: Random): number {
  return Math.floor(random() * below)
}

function pick<Item>(items: readonly Item[], random: Random): Item {
  const item = items[integer(items.length, random)]
  if (item === undefined) throw new Error('Cannot pick from an empty list')
  return item
}
