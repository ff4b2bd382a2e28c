/** What is to be seen of one database of the process. */
import type { TokenSourceSnapshot } from './credentials/token-source.ts'
import type { Holder } from './limits/fair-queue.ts'
import type { KeySnapshot } from './key-records.ts'

export interface DatabaseSnapshot extends KeySnapshot {
  state: 'closed' | 'opening' | 'open' | 'ending'
  /** Of the open instance; null when there is none that is shared. */
  ageMs: number | null
  leases: Holder[]
  /** For a lease to be given back. */
  waiting: Holder[]
  /** For the database to open. */
  opening: Holder[]
  /** Of what it is opened with and, once it is open, of its secrets; not of those of single leases' own instances. */
  credentials: TokenSourceSnapshot[]
}
