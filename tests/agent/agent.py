"""An agent as people build them: LangChain's SQL toolkit over a database, a chat model behind an OpenAI-compatible endpoint.

agent.py MODEL_PORT TASK: libpq's variables say where the database is. Prints the agent's final answer.
"""
import os
import sys

os.environ.update(LANGSMITH_TRACING="false", LANGCHAIN_TRACING_V2="false", NO_PROXY="127.0.0.1")

from langchain.agents import create_agent
from langchain_community.agent_toolkits import SQLDatabaseToolkit
from langchain_community.utilities import SQLDatabase
from langchain_openai import ChatOpenAI

port, task = sys.argv[1:]
database = SQLDatabase.from_uri("postgresql+psycopg2://", schema="clinic", sample_rows_in_table_info=3, max_string_length=2000)
model = ChatOpenAI(model="stand-in", base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0)
tools = SQLDatabaseToolkit(db=database, llm=model).get_tools()
agent = create_agent(model, tools, system_prompt="You answer questions about a database with the tools you have.")
result = agent.invoke({"messages": [("user", task)]}, {"recursion_limit": 40})
checker = next(tool for tool in tools if tool.name == "sql_db_query_checker")
print("checked:", checker.invoke("SELECT patient_id FROM patients"))
print("answer:", result["messages"][-1].content)
