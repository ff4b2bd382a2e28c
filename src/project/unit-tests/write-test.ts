/** A unit test → the YAML of its file. */
import { Document } from 'yaml'
import type { TestRow } from './unit-test.ts'

export interface WrittenTest {
  name: string
  model: string
  /** Types stand beside the rows where nothing else tells them. */
  inputs: Record<string, { columns: Readonly<Record<string, string>> | null; rows: readonly TestRow[] }>
  query: readonly TestRow[]
  /** Empty for none. */
  ctes: Record<string, readonly TestRow[]>
  vars: Record<string, string>
}

export function writeTest({ name, model, inputs, query, ctes, vars }: WrittenTest): string {
  const given = Object.entries(inputs).map(([input, { columns, rows }]) => [
    input,
    columns === null ? rows : { columns, rows },
  ])
  const body = {
    model,
    ...(given.length === 0 ? {} : { inputs: Object.fromEntries(given) as unknown }),
    outputs: { ...(Object.keys(ctes).length === 0 ? {} : { ctes }), query },
    ...(Object.keys(vars).length === 0 ? {} : { vars }),
  }
  return new Document({ [name]: body }).toString({ lineWidth: 0 })
}
