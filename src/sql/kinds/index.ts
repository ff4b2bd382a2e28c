/** Each kind's part of a step. Pure. */
import type { KindName } from '../../project/model.ts'
import type { KindInput, KindWrite } from './kind-write.ts'
import { writePartitions } from './partition.ts'
import { writeTimeRange } from './time-range.ts'
import { writeUniqueKey } from './unique-key.ts'
import { writeUnmanaged } from './unmanaged.ts'
import { writeTable, writeView } from './whole.ts'

const WRITES: Partial<Record<KindName, (input: KindInput) => KindWrite>> = {
  FULL: writeTable,
  SEED: writeTable,
  VIEW: writeView,
  INCREMENTAL_BY_TIME_RANGE: writeTimeRange,
  INCREMENTAL_BY_UNIQUE_KEY: writeUniqueKey,
  INCREMENTAL_BY_PARTITION: writePartitions,
  INCREMENTAL_UNMANAGED: writeUnmanaged,
}

export function kindWrite(input: KindInput): KindWrite {
  const write = WRITES[input.kind.name]
  if (write === undefined) throw new TypeError(`no step writes a model of kind ${input.kind.name}`)
  return write(input)
}
