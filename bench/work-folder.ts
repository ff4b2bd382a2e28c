import path from 'node:path'

/** The repository's root. */
export const repositoryFolder = path.resolve(import.meta.dirname, '..')

/** Everything the benchmark writes: virtual environments, projects, databases, results. Not under version control. */
export const workFolder = path.join(import.meta.dirname, 'work')
