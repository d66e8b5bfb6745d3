// How much a review reads. A repository of manifests is far below; what is above is a mistake (the wrong folder) or an attack.

/** YAML and JSON files in one state. */
export const MAX_FILES = 20_000
/** Of all of them. */
export const MAX_TREE_BYTES = 128 * 1024 * 1024
/** Bundles of definitions have a few MiB. */
export const MAX_FILE_BYTES = 16 * 1024 * 1024
/** Folders in folders. */
export const MAX_FOLDERS_DEEP = 64
/** Entries of a tree, YAML or not. */
export const MAX_ENTRIES = 1_000_000
/** Lines of a ledger: 40,000 versions. */
export const MAX_LEDGER_BYTES = 16 * 1024 * 1024
/** What a user is takes a few kB. */
export const MAX_USER_BYTES = 256 * 1024
export const GIT_TIMEOUT_MS = 60_000
export const KUBECTL_TIMEOUT_MS = 30_000
