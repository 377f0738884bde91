output "uris" {
  description = "Where clients find each repository, by key, once access to it is granted: `us-central1-docker.pkg.dev/PROJECT/vt-images`, and for pipelines `https://us-central1-kfp.pkg.dev/PROJECT/vt-pipelines`."
  value = {
    for key, repository in google_artifact_registry_repository.this : key => format(
      repository.format == "KFP" ? "https://%s-kfp.pkg.dev/%s/%s" : "%s-docker.pkg.dev/%s/%s",
      var.location,
      var.project_id,
      repository.repository_id,
    )
  }
  depends_on = [google_artifact_registry_repository_iam_member.this]
}
