/** What kind of value DuckDB's settings have, where one value has several spellings. */

/** Folders: relative ones are relative to the project. */
export const FOLDER_SETTINGS: ReadonlySet<string> = new Set([
  'extension_directory',
  'home_directory',
  'secret_directory',
  'temp_directory',
])

/** DuckDB's second names of settings. */
export const SETTING_ALIASES: ReadonlyMap<string, string> = new Map([
  ['max_memory', 'memory_limit'],
  ['null_order', 'default_null_order'],
  ['profiling_output', 'profile_output'],
  ['user', 'username'],
  ['wal_autocheckpoint', 'checkpoint_threshold'],
  ['worker_threads', 'threads'],
])

/** Amounts of memory: `4GB`, `4 gb` and `4000MB` are one. */
export const SIZE_SETTINGS: ReadonlySet<string> = new Set([
  'allocator_bulk_deallocation_flush_threshold',
  'allocator_flush_threshold',
  'block_allocator_memory',
  'checkpoint_threshold',
  'max_temp_directory_size',
  'memory_limit',
  'streaming_buffer_size',
  'write_buffer_row_group_memory_limit',
])

/** Names of choices: case does not matter. */
export const CHOICE_SETTINGS: ReadonlySet<string> = new Set([
  'access_mode',
  'default_null_order',
  'default_order',
  'enable_profiling',
  'explain_output',
  'logging_level',
  'pin_threads',
  'profiling_mode',
])

/** True or false. */
export const BOOLEAN_SETTINGS: ReadonlySet<string> = new Set([
  'allocator_background_threads',
  'allow_community_extensions',
  'allow_extensions_metadata_mismatch',
  'allow_persistent_secrets',
  'allow_unredacted_secrets',
  'allow_unsigned_extensions',
  'arrow_large_buffer_size',
  'arrow_lossless_conversion',
  'arrow_output_list_view',
  'autoinstall_known_extensions',
  'autoload_known_extensions',
  'binary_as_string',
  'disable_database_invalidation',
  'disable_parquet_prefetching',
  'disable_timestamptz_casts',
  'enable_caching_operators',
  'enable_external_access',
  'enable_external_file_cache',
  'enable_fsst_vectors',
  'enable_geoparquet_conversion',
  'enable_http_logging',
  'enable_http_metadata_cache',
  'enable_logging',
  'enable_macro_dependencies',
  'enable_object_cache',
  'enable_progress_bar',
  'enable_progress_bar_print',
  'enable_server_cert_verification',
  'enable_view_dependencies',
  'errors_as_json',
  'experimental_metadata_reuse',
  'force_download',
  'http_keep_alive',
  'ieee_floating_point_ops',
  'immediate_transaction_mode',
  'integer_division',
  'lock_configuration',
  'old_implicit_casting',
  'order_by_non_integer_literal',
  'parquet_metadata_cache',
  'prefer_range_joins',
  'prefetch_all_parquet_files',
  'preserve_identifier_case',
  'preserve_insertion_order',
  'produce_arrow_string_view',
  's3_requester_pays',
  's3_url_compatibility_mode',
  's3_use_ssl',
  'scalar_subquery_error_on_multiple_rows',
  'scheduler_process_partial',
  'temp_file_encryption',
])
