def write_report(results, folder):
    return folder
