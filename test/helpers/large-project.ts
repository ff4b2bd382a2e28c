/** Projects of any number of models whose every value can be told beforehand. */

/** No model reads another; layers of five that read the one before; each reads up to three earlier ones. */
export type Shape = 'wide' | 'deep' | 'tangled'

export interface LargeProject {
  /** Text by path, the config aside. */
  files: Record<string, string>
  /** Of each model the names of those it reads, by the model's place. */
  parents: readonly (readonly number[])[]
  /** What the one row of model `m.t<place>` says. */
  values: readonly number[]
}

const LAYER = 5
const MODULUS = 1_000_003

/** @param random from 0 to below 1. */
export function largeProject(shape: Shape, models: number, random: () => number): LargeProject {
  const parents = Array.from({ length: models }, (_, index) => parentsOf(shape, index, random))
  const values: number[] = []
  const files: Record<string, string> = {}
  parents.forEach((reads, index) => {
    values.push(reads.reduce((sum, parent) => sum + (values[parent] ?? 0), index) % MODULUS)
    files[`models/t${index}.sql`] = `MODEL (name m.t${index}, kind FULL);\n${queryOf(index, reads)}\n`
  })
  return { files, parents, values }
}

/** Places of the models that the model at `index` reads. */
export function parentsOf(shape: Shape, index: number, random: () => number): number[] {
  if (shape === 'wide' || index === 0) return []
  if (shape === 'deep') return index < LAYER ? [] : [index - LAYER]
  return [...new Set(Array.from({ length: 3 }, () => Math.floor(random() * index)))]
}

function queryOf(index: number, reads: readonly number[]): string {
  const rows = reads.map((parent) => `SELECT x FROM m.t${parent}`).join(' UNION ALL ')
  return reads.length === 0
    ? `SELECT ${index} % ${MODULUS} AS x`
    : `SELECT ((sum(x) + ${index}) % ${MODULUS})::BIGINT AS x FROM (${rows})`
}
