"""The private names of MLflow, and the undocumented ones that the plugin replaces."""

from __future__ import annotations

from support.private_names.foreign import Foreign, Kind

_BORDER = "mlflow_plugin/mlflow_private.py"
_STORE = "mlflow.store.model_registry.sqlalchemy_workspace_store:WorkspaceAwareSqlAlchemyStore"
_TRACKING = "mlflow.store.tracking.sqlalchemy_workspace_store:WorkspaceAwareSqlAlchemyStore"
_QUERIES = "mlflow.store.tracking.sqlalchemy_store"
_HANDLERS = "mlflow.server.handlers"
_AUTH = "mlflow.server.auth"
_VALIDATION = "mlflow.utils.validation"
_ARTIFACTS = "mlflow.store.artifact.artifact_repo:ArtifactRepository"
_ENTITIES = "mlflow.entities.model_registry"

MLFLOW = (
    Foreign(
        f"{_STORE}._get_query", _BORDER, ("self", "session", "model"), "every query of models: rows that may be seen"
    ),
    Foreign(f"{_STORE}._get_workspace_clauses", _BORDER, ("self", "model"), "every other query: rows that may be seen"),
    Foreign(
        f"{_STORE}._get_active_workspace", _BORDER, (), "models lie in the registry's workspace, not the project's"
    ),
    Foreign(
        f"{_STORE}._get_eager_registered_model_query_options",
        _BORDER,
        (),
        "a change between two queries would lose tags and aliases",
    ),
    Foreign(
        f"{_STORE}._get_eager_model_version_query_options", _BORDER, (), "a change between two queries would lose tags"
    ),
    Foreign(
        f"{_STORE}._get_search_registered_model_filter_query",
        _BORDER,
        ("self", "session", "parsed_filters", "dialect"),
        "our filters of models run in the database",
    ),
    Foreign(
        f"{_STORE}._get_search_model_versions_filter_clauses",
        _BORDER,
        ("self", "parsed_filters", "dialect"),
        "our filters of versions run in the database",
    ),
    Foreign(
        f"{_STORE}._get_model_version_from_db",
        _BORDER,
        ("self", "session", "name", "version", "conditions", "query_options"),
        "a version that is missing says why",
    ),
    Foreign(
        f"{_STORE}._get_registered_model",
        _BORDER,
        ("self", "session", "name", "eager"),
        "a model's row within a session of ours",
    ),
    Foreign(
        f"{_STORE}._get_sql_model_version",
        _BORDER,
        ("self", "session", "name", "version", "eager"),
        "a version's row within a session of ours",
    ),
    Foreign(
        f"{_STORE}._get_latest_versions_for_models",
        _BORDER,
        ("self", "session", "model_names"),
        "MLflow reads whole rows of all versions of a model for the newest in each stage",
    ),
    Foreign(
        f"{_TRACKING}._filter_experiment_ids",
        _BORDER,
        ("self", "session", "experiment_ids", "lifecycle_stage"),
        "searches of runs find those of the request's workspace",
    ),
    Foreign(
        f"{_TRACKING}._validate_max_results_param",
        _BORDER,
        ("self", "max_results", "allow_null"),
        "searches of runs refuse what MLflow refuses",
    ),
    Foreign(f"{_TRACKING}._get_dialect", _BORDER, ("self",), "MLflow's filters of runs are built for a database"),
    Foreign(
        f"{_QUERIES}:_get_orderby_clauses",
        _BORDER,
        ("order_by_list", "session"),
        "runs that are read by columns have MLflow's order",
    ),
    Foreign(
        f"{_QUERIES}:_get_sqlalchemy_filter_clauses",
        _BORDER,
        ("parsed", "session", "dialect"),
        "runs that are read by columns are those that MLflow's filters find",
    ),
    Foreign(f"{_QUERIES}:_parse_experiment_ids", _BORDER, ("experiment_ids",), "wrong IDs are refused as MLflow does"),
    Foreign(
        f"{_TRACKING}._get_deleted_runs",
        _BORDER,
        ("self", "older_than"),
        "which runs to purge; MLflow has that only as a command of its own",
    ),
    Foreign(f"{_TRACKING}._hard_delete_run", _BORDER, ("self", "run_id"), "purges a run"),
    Foreign(f"{_TRACKING}._hard_delete_logged_model", _BORDER, ("self", "model_id"), "purges a logged model"),
    Foreign(
        f"{_TRACKING}._create_default_experiment",
        _BORDER,
        ("self", "session", "workspace_override"),
        "each project has a *Default*, made in the transaction that notes its ID",
    ),
    Foreign(
        f"{_HANDLERS}:_get_tracking_store",
        _BORDER,
        ("backend_store_uri", "default_artifact_root"),
        "the server's own store, with its connections",
    ),
    Foreign(
        f"{_HANDLERS}:_get_model_registry_store",
        _BORDER,
        ("registry_store_uri",),
        "the server's own store, with its connections",
    ),
    Foreign(
        "mlflow.server.workspace_helpers:_get_workspace_store",
        _BORDER,
        ("workspace_uri", "tracking_uri"),
        "the server's own store, with its connections",
    ),
    Foreign(
        f"{_AUTH}:_get_tracking_store",
        _BORDER,
        ("backend_store_uri", "default_artifact_root"),
        "notes what the auth app does not find, so that a refusal says it",
    ),
    Foreign(
        f"{_AUTH}:_get_model_registry_store",
        _BORDER,
        ("registry_store_uri",),
        "notes what the auth app does not find, so that a refusal says it",
    ),
    Foreign(
        f"{_AUTH}:_authenticate_cached", _BORDER, ("username", "password"), "lets a person in once for each request"
    ),
    Foreign(f"{_AUTH}:_can_create_in_workspace", _BORDER, ("username",), "viewers make nothing"),
    Foreign(
        f"{_AUTH}:_role_grant_for_resource",
        _BORDER,
        ("user_id", "resource_type", "resource_key", "workspace_name"),
        "what a person's roles allow",
    ),
    Foreign(f"{_AUTH}:_parse_model_uri", _BORDER, ("uri", "scheme"), "spellings that cannot be read are 400, not 500"),
    Foreign(
        f"{_AUTH}:_RESOURCE_WORKSPACE_CACHE",
        _BORDER,
        Kind.VALUE,
        "it remembers for an hour that a name does not exist",
    ),
    Foreign(
        f"{_VALIDATION}:_validate_model_alias_name",
        _BORDER,
        ("model_alias_name",),
        "an alias is refused in MLflow's words",
        moved=(f"{_VALIDATION}:_validate_alias_name", ("alias", "resource_type")),
    ),
    Foreign(
        f"{_VALIDATION}:_validate_model_alias_name_reserved",
        _BORDER,
        ("model_alias_name",),
        "an alias is refused in MLflow's words",
        moved=(f"{_VALIDATION}:_validate_alias_name_reserved", ("alias",)),
    ),
    Foreign(
        f"{_VALIDATION}:_validate_model_version_tag", _BORDER, ("key", "value"), "a tag is refused in MLflow's words"
    ),
    Foreign(f"{_ENTITIES}:RegisteredModel._is_prompt", _BORDER, ("self",), "what MLflow takes for a prompt"),
    Foreign(
        "mlflow.store.artifact.utils.models:_parse_model_uri",
        _BORDER,
        ("uri", "scheme"),
        "reads a `models:/` URI as MLflow does",
    ),
    Foreign(
        f"{_HANDLERS}:_get_workspace_scoped_repo_path_if_enabled",
        _BORDER,
        ("artifact_path",),
        "below which folder MLflow's proxy keeps a workspace's files",
    ),
    Foreign(f"{_HANDLERS}:_guess_mime_type", _BORDER, ("file_path",), "the type with which MLflow sends a file"),
    Foreign(
        f"{_HANDLERS}:_content_disposition_attachment",
        _BORDER,
        ("filename",),
        "how MLflow writes a file's name in a header",
    ),
    Foreign(
        f"{_ARTIFACTS}._download_file",
        _BORDER,
        ("self", "remote_file_path", "local_path"),
        "what a repository implements; MLflow's own document only shows it",
    ),
    Foreign(
        f"{_ARTIFACTS}._download_file",
        "mlflow_plugin/elsewhere/artifacts.py",
        ("self", "remote_file_path", "local_path"),
        "the same, for archives of a platform elsewhere",
    ),
    Foreign(
        f"{_ARTIFACTS}._create_download_destination",
        _BORDER,
        ("self", "src_artifact_path", "dst_local_dir_path"),
        "where MLflow puts a file that it downloads",
    ),
    Foreign(
        "mlflow.store.artifact.s3_artifact_repo:S3ArtifactRepository._get_s3_client",
        _BORDER,
        ("self",),
        "a client that asks for its key with each request",
    ),
    Foreign("mlflow.server:_UVICORN_LOG_CONFIG", _BORDER, Kind.VALUE, "logs look as those of `mlflow server`"),
    Foreign(
        "mlflow.exceptions:_UnsupportedMultipartUploadException",
        _BORDER,
        Kind.CLASS,
        "clients send a file through the server at this error",
    ),
    Foreign(
        "mlflow.exceptions:_UnsupportedMultipartDownloadException",
        _BORDER,
        Kind.CLASS,
        "clients read a file through the server at this error",
    ),
    Foreign(
        "mlflow.pyfunc:PyFuncModel._model_impl",
        "serving/row_by_row.py",
        Kind.ATTRIBUTE,
        "the model within; without it requests are not joined",
    ),
    Foreign(
        "mlflow.pyfunc:PyFuncModel._predict_stream_fn",
        "serving/streaming.py",
        Kind.ATTRIBUTE,
        "whether a model answers in pieces; without it none does",
    ),
    Foreign(
        "mlflow.pyfunc.scoring_server:_parse_json_data",
        "serving/streaming.py",
        ("data", "metadata", "input_schema"),
        "reads a request for an answer in pieces as any other; without it such requests are refused",
    ),
    # Steps of MLflow's scoring function, which do the same quicker in a replica.
    Foreign(
        "mlflow.pyfunc.scoring_server:dataframe_from_parsed_json",
        "serving/shortcuts.py",
        ("decoded_input", "pandas_orient", "schema"),
        "a table is made by its columns; without it MLflow's own step makes it",
    ),
    Foreign(
        "mlflow.pyfunc.scoring_server:parse_csv_input",
        "serving/shortcuts.py",
        ("csv_input", "schema"),
        "whether its table is as the signature says is looked at once; without it MLflow makes the table again",
    ),
    Foreign(
        "mlflow.pyfunc.scoring_server:parse_tf_serving_input",
        "serving/shortcuts.py",
        ("inp_dict", "schema"),
        "a tensor is made without copying its lists first; without it MLflow's own step makes it",
    ),
    Foreign(
        "mlflow.pyfunc.scoring_server:predictions_to_json",
        "serving/shortcuts.py",
        ("raw_predictions", "output", "metadata"),
        "predictions are written once; without it MLflow's own step writes them",
    ),
    Foreign(
        "mlflow.pyfunc:_enforce_schema",
        "serving/shortcuts.py",
        ("pf_input", "input_schema", "flavor"),
        "a table that was made by its signature is not made again; without it MLflow does so",
    ),
    # Names without an underscore, of undocumented modules, which the plugin replaces in MLflow's process.
    Foreign(
        f"{_HANDLERS}:validate_path_is_safe",
        "mlflow_plugin/artifact_paths.py",
        ("path",),
        "MLflow decodes a path until nothing changes",
    ),
    Foreign(
        "mlflow.server.artifact_router:validate_path_is_safe",
        "mlflow_plugin/artifact_paths.py",
        ("path",),
        "MLflow decodes a path until nothing changes",
    ),
    Foreign(
        f"{_AUTH}:validate_path_is_safe",
        "mlflow_plugin/artifact_paths.py",
        ("path",),
        "permissions are checked for the path that is opened",
    ),
    Foreign(
        f"{_HANDLERS}:build_server_info_payload",
        "mlflow_plugin/server_info.py",
        (),
        "transfers in parts are not offered, but given to who asks",
    ),
    Foreign(
        "mlflow.server.server_info_api:build_server_info_payload",
        "mlflow_plugin/server_info.py",
        (),
        "transfers in parts are not offered, but given to who asks",
    ),
    Foreign(
        f"{_HANDLERS}:get_model_name_and_version",
        "mlflow_plugin/model_uris.py",
        ("client", "models_uri"),
        "spellings that cannot be read are 400, not 500",
    ),
    Foreign(
        "mlflow.server.auth.sqlalchemy_store:generate_password_hash",
        "mlflow_plugin/password_hashes.py",
        ("password", "method", "salt_length"),
        "a fast hash for passwords of 256 random bits",
    ),
    Foreign(
        f"{_STORE}.ManagedSessionMaker",
        "mlflow_plugin/client_faults.py",
        Kind.ATTRIBUTE,
        "errors of a session keep their cause",
    ),
    Foreign(
        f"{_TRACKING}.ManagedSessionMaker",
        "mlflow_plugin/client_faults.py",
        Kind.ATTRIBUTE,
        "errors of a session keep their cause",
    ),
    Foreign(
        f"{_STORE}.ManagedSessionMaker",
        "mlflow_plugin/database_errors.py",
        Kind.ATTRIBUTE,
        "errors of a session have no text of the database's driver",
    ),
    Foreign(
        f"{_TRACKING}.ManagedSessionMaker",
        "mlflow_plugin/database_errors.py",
        Kind.ATTRIBUTE,
        "errors of a session have no text of the database's driver",
    ),
    Foreign(
        "mlflow.store.workspace.sqlalchemy_store:SqlAlchemyStore.ManagedSessionMaker",
        "mlflow_plugin/database_errors.py",
        Kind.ATTRIBUTE,
        "errors of a session have no text of the database's driver",
    ),
    Foreign(
        "mlflow.server.auth.sqlalchemy_store:SqlAlchemyStore.ManagedSessionMaker",
        "mlflow_plugin/database_errors.py",
        Kind.ATTRIBUTE,
        "errors of a session have no text of the database's driver",
    ),
    Foreign(
        f"{_ENTITIES}:RegisteredModel.to_proto",
        "mlflow_plugin/borders.py",
        ("self",),
        "our tags do not leave the server",
    ),
    Foreign(
        f"{_ENTITIES}:ModelVersion.to_proto", "mlflow_plugin/borders.py", ("self",), "our tags do not leave the server"
    ),
    Foreign(
        f"{_AUTH}:BEFORE_REQUEST_VALIDATORS",
        "mlflow_plugin/deleting.py",
        Kind.VALUE,
        "whoever may change runs and experiments may delete and restore them",
    ),
    Foreign(f"{_AUTH}:validate_can_update_run", "mlflow_plugin/deleting.py", (), "as above"),
    Foreign(f"{_AUTH}:validate_can_update_experiment", "mlflow_plugin/deleting.py", (), "as above"),
    Foreign(f"{_AUTH}:validate_can_delete_run", "mlflow_plugin/deleting.py", (), "as above"),
    Foreign(f"{_AUTH}:validate_can_delete_experiment", "mlflow_plugin/deleting.py", (), "as above"),
    Foreign(
        f"{_AUTH}:BEFORE_REQUEST_VALIDATORS",
        "mlflow_plugin/changing_models.py",
        Kind.VALUE,
        "whoever may read a model reaches the store's own rules about changing it",
    ),
    Foreign(f"{_AUTH}:BEFORE_REQUEST_HANDLERS", "mlflow_plugin/changing_models.py", Kind.VALUE, "as above"),
    Foreign(
        f"{_AUTH}:AFTER_REQUEST_HANDLERS", "mlflow_plugin/grants.py", Kind.VALUE, "MLflow grants nothing by name here"
    ),
    Foreign(f"{_AUTH}:set_can_manage_registered_model_permission", "mlflow_plugin/grants.py", ("resp",), "as above"),
    Foreign(
        "mlflow.server.assistant.api:assistant_router.routes",
        "mlflow_plugin/closed_doors.py",
        Kind.VALUE,
        "the assistant runs commands of this machine",
    ),
    Foreign(
        "mlflow.store.artifact.artifact_repository_registry:get_registered_artifact_repositories",
        "mlflow_plugin/closed_doors.py",
        (),
        "the server opens artifacts at our own address only",
    ),
    Foreign(
        f"{_HANDLERS}:get_endpoints", "mlflow_plugin/client_faults.py", ("get_handler",), "which message a call takes"
    ),
    Foreign(f"{_AUTH}:create_app", "mlflow_plugin/launch.py", ("app",), "the app that `mlflow server` runs"),
)
