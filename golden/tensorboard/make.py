"""Writes events.tfevents with TensorBoard's own package, for the writer's test.

pip install tensorboard==2.21.0 && python make.py
"""

from tensorboard.compat.proto.event_pb2 import Event, SessionLog, SourceMetadata
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.text.plugin_data_pb2 import TextPluginData
from tensorboard.summary.writer.record_writer import RecordWriter


def scalar(tag, value):
    return Summary.Value(tag=tag, simple_value=value)


def text(tag, value):
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    tensor = TensorProto(dtype="DT_STRING", string_val=[value.encode()], tensor_shape=shape)
    content = TextPluginData(version=0).SerializeToString()
    plugin = SummaryMetadata.PluginData(plugin_name="text", content=content)
    return Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=plugin), tensor=tensor)


events = [
    Event(
        wall_time=1796083200.25,
        file_version="brain.Event:2",
        source_metadata=SourceMetadata(writer="pareto"),
    ),
    Event(wall_time=1796083200.5, summary=Summary(value=[text("config/text_summary", '{ "précis": 1 }')])),
    Event(wall_time=1796083201.75, step=301, session_log=SessionLog(status=SessionLog.START)),
    Event(
        wall_time=1796083202.0,
        step=300,
        summary=Summary(value=[scalar("train/log_loss", 0.4523), scalar("train/auc", 0.75)]),
    ),
    Event(wall_time=1796083203.0, step=2**40, summary=Summary(value=[scalar("validation/auc", -0.1)])),
]
with open("events.tfevents", "wb") as file:
    writer = RecordWriter(file)
    for event in events:
        writer.write(event.SerializeToString())
