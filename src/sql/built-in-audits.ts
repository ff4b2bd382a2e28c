/** Audits every project has, by name; every one also under `<name>_non_blocking`. Pure. */
import type { BuiltInAudit } from './audit-arguments.ts'
import { RELATIONSHIP_AUDITS } from './relationship-audits.ts'
import { ROW_AUDITS } from './row-audits.ts'
import { STATISTICAL_AUDITS } from './statistical-audits.ts'
import { TABLE_AUDITS } from './table-audits.ts'

export const BUILT_IN_AUDIT_QUERIES: ReadonlyMap<string, BuiltInAudit> = new Map(
  Object.entries({ ...ROW_AUDITS, ...TABLE_AUDITS, ...STATISTICAL_AUDITS, ...RELATIONSHIP_AUDITS }),
)
