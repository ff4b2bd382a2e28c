/** One hash for a whole project, so that a client and a worker can tell whether they speak of the same. */
import { calledAudits } from './definition.ts'
import { dataHash, metadataHash, sha256 } from './fingerprint.ts'
import type { Project } from './project.ts'

/** Equal for two copies of a folder that build the same; seeds' files count by their models' headers only. */
export function projectHash(project: Project): string {
  return toProjectHash(modelHashes(project))
}

/** @param hashes of the project's models, as {@link modelHashes} makes them. */
export function toProjectHash(hashes: Readonly<Record<string, string>>): string {
  return sha256(hashes).slice(0, 32)
}

/** A short hash per enabled model, by name. */
export function modelHashes(project: Project): Record<string, string> {
  const enabled = project.models.filter((model) => model.enabled)
  return Object.fromEntries(
    enabled.map((model) => {
      const data = dataHash(model, project.variables)
      const metadata = metadataHash(model, calledAudits(model, project.audits))
      return [model.name, sha256([data, metadata]).slice(0, 12)]
    }),
  )
}
